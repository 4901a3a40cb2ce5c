"""Unpack a folder that was flattened into bytes, as ExecuTorch keeps a Core ML model in a ``.pte``.

The files lie one after the other; behind them comes, written backwards, a JSON object that lists
them and their folders, the outermost last (``backends/apple/coreml/runtime/inmemoryfs``). The
vendor's own reader trusts it: names that lead out of the folder, places outside of the bytes.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from lightmobile.export.verification.flatbuffer import cut

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["unflatten"]

_MOST_LISTING_BYTES = 1 << 16
_FILE = 0


def unflatten(payload: memoryview, folder: Path) -> None:
    """Write what `payload` holds into `folder`, which is made.

    Raises
    ------
    ValueError
        The listing is damaged, or leads anywhere else.
    """
    try:
        unpacking = _Unpacking(payload)
        unpacking.write(unpacking.outermost, folder)
    except (AttributeError, KeyError, TypeError, RecursionError, json.JSONDecodeError):
        raise ValueError("the list of the files in it is damaged") from None


class _Unpacking:
    """A payload, and what of it is not yet written."""

    def __init__(self, payload: memoryview) -> None:
        text = bytes(payload[-_MOST_LISTING_BYTES:])[::-1].decode("latin-1")
        nodes: list[dict[str, Any]] = json.JSONDecoder().raw_decode(text)[0]["nodes"]
        self._payload = payload
        self._nodes = dict(enumerate(nodes))
        self._bytes_left = len(payload)
        self.outermost = len(nodes) - 1

    def write(self, index: int, path: Path) -> None:
        """Write the file or folder `index` of the listing, and what is in it, to `path`."""
        # Each once: folders inside of one another would never end.
        node = self._nodes.pop(index)
        if node["kind"] == _FILE:
            path.write_bytes(self._region(**node["dataRegion"]))
            return
        path.mkdir()
        for name, child in node["children"].items():
            if not re.fullmatch(r"\w[\w.-]*", name, re.ASCII):
                raise ValueError(f"a file in it has the name {name[:80]!r}")
            self.write(child, path / name)

    def _region(self, offset: int, size: int) -> memoryview:
        self._bytes_left -= size
        if self._bytes_left < 0:
            raise ValueError("the files in it share their bytes")
        return cut(self._payload, offset, size)
