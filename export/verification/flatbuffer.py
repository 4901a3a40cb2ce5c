"""Read flatbuffers that may be damaged or hostile: every offset and length is checked.

The readers that flatc generates (and the ones in the exporters' packages) trust the file: an
offset outside it is a crash or, negative, another part of it. Here it is a `ValueError`. The
format: https://flatbuffers.dev/internals/. A field is known by its slot, the place of its line
in the schema's table, from 0; deprecated fields count, and a union takes two (type, value).
"""

from __future__ import annotations

import mmap
import struct
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["Table", "cut", "map_file", "shaped"]


class Table:
    """One table of a flatbuffer."""

    def __init__(self, data: memoryview, position: int) -> None:
        self._data = data
        self._position = position
        self._slots = position - _scalar(data, position, "i")
        self._slots_size = _scalar(data, self._slots, "H")

    @classmethod
    def root(cls, data: memoryview, identifier: bytes) -> Table:
        """Return the root table of a file whose format is `identifier`, bytes 4 to 7."""
        if bytes(data[4:8]) != identifier:
            raise ValueError(f"it does not begin as a {identifier.decode()} file does")
        return cls(data, _scalar(data, 0, "I"))

    def integer(
        self, slot: int, kind: Literal["b", "B", "h", "i", "I", "q", "Q"], default: int = 0
    ) -> int:
        """Return a number; `kind` is its letter in the `struct` module."""
        position = self._field(slot)
        return _scalar(self._data, position, kind) if position else default

    def real(self, slot: int, kind: Literal["f", "d"] = "d") -> float:
        """Return a float or a double, 0 where the field is absent."""
        position = self._field(slot)
        return _scalar(self._data, position, kind) if position else 0.0

    def table(self, slot: int) -> Table | None:
        """Return a table, or None where the field is absent."""
        position = self._field(slot)
        return Table(self._data, self._follow(position)) if position else None

    def tables(self, slot: int) -> list[Table]:
        """Return a vector of tables, empty where the field is absent."""
        start, count = self._vector(slot, 4)
        return [Table(self._data, self._follow(start + 4 * index)) for index in range(count)]

    def numbers(self, slot: int, dtype: str) -> list[int]:
        """Return a vector of numbers, empty where the field is absent."""
        start, count = self._vector(slot, np.dtype(dtype).itemsize)
        numbers: list[int] = np.frombuffer(self._data, dtype, count, start).tolist()
        return numbers

    def data(self, slot: int) -> memoryview:
        """Return a vector of bytes, not copied, or a string; empty where the field is absent."""
        start, count = self._vector(slot, 1)
        return self._data[start : start + count]

    def text(self, slot: int) -> str:
        """Return a string, empty where the field is absent."""
        return bytes(self.data(slot)).decode()

    def _field(self, slot: int) -> int:
        entry = 4 + 2 * slot
        if entry + 2 > self._slots_size:
            return 0
        offset = _scalar(self._data, self._slots + entry, "H")
        return self._position + offset if offset else 0

    def _follow(self, position: int) -> int:
        return position + _scalar(self._data, position, "I")

    def _vector(self, slot: int, item_bytes: int) -> tuple[int, int]:
        position = self._field(slot)
        if not position:
            return 0, 0
        start = self._follow(position)
        count = _scalar(self._data, start, "I")
        if count * item_bytes > len(self._data) - start - 4:
            raise ValueError(f"a list of {count} items does not fit in it")
        return start + 4, count


def map_file(path: Path) -> memoryview:
    """Return the bytes of a file without reading them into memory."""
    with path.open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def cut(data: memoryview, start: int, size: int) -> memoryview:
    """Return ``data[start:start + size]``, all of it or a `ValueError`."""
    if not 0 <= start <= start + size <= len(data):
        raise ValueError(f"bytes {start} to {start + size} lie outside of it")
    return data[start : start + size]


def shaped(data: memoryview, dtype: str, shape: Sequence[int]) -> NDArray[Any]:
    """Return `data` as an array, not copied; bytes after it are padding."""
    if any(size < 0 for size in shape):
        raise ValueError(f"a shape of {tuple(shape)} cannot be")
    count = 1
    for size in shape:  # in Python's integers: numpy's product would wrap around
        count *= size
    values = np.frombuffer(cut(data, 0, count * np.dtype(dtype).itemsize), dtype)
    return values.reshape(shape)


def _scalar(data: memoryview, position: int, kind: str) -> int:
    # unpack_from takes a negative offset as one from the end.
    if position < 0:
        raise ValueError(f"an offset of {position} leads out of it")
    try:
        value: int = struct.unpack_from("<" + kind, data, position)[0]
    except struct.error:
        raise ValueError(f"an offset of {position} leads out of it") from None
    return value
