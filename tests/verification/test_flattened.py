"""The folder inside of a ``.pte`` for Core ML is unpacked as the vendor packed it, or refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from executorch.backends.apple.coreml import executorchcoreml

from lightmobile.export.verification.flattened import unflatten

# The vendor's own packer crashes on an empty file.
FILES = {"metadata.json": b"{}", "model.mlpackage/Data/weight.bin": bytes(range(256))}


def contents(folder: Path) -> dict[str, bytes]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def packed(folder: Path) -> memoryview:
    return memoryview(executorchcoreml.flatten_directory_contents(str(folder)))


def test_what_the_vendor_packed_is_unpacked(tmp_path: Path) -> None:
    for name, data in FILES.items():
        file = tmp_path / "packed" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    unflatten(packed(tmp_path / "packed"), tmp_path / "unpacked")
    assert contents(tmp_path / "unpacked") == FILES


def file(offset: Any = 0, size: Any = 4) -> dict[str, Any]:
    return {"name": "f", "kind": 0, "dataRegion": {"offset": offset, "size": size}, "children": {}}


def directory(**children: Any) -> dict[str, Any]:
    return {"name": "d", "kind": 1, "dataRegion": {"offset": 0, "size": 0}, "children": children}


def listed(*nodes: Any) -> memoryview:
    return memoryview(b"data" + json.dumps({"nodes": nodes}).encode()[::-1])


def test_a_listing_by_hand_is_read(tmp_path: Path) -> None:
    unflatten(listed(file(1, 3), directory(f=0)), tmp_path / "unpacked")
    assert contents(tmp_path / "unpacked") == {"f": b"ata"}


SHARED = {f"f{index}": index for index in range(9)}
HOSTILE = {
    "empty": memoryview(b""),
    "no listing": memoryview(bytes(100)),
    "no nodes": memoryview(b"}{"),
    "deep": memoryview(b"[" * 60000),
    "no list": memoryview(b'{"nodes": 5}'[::-1]),
    "none": listed(),
    "no node": listed(5),
    "outside": listed(file(0, 10**6), directory(f=0)),
    "behind": listed(file(200, 200), directory(f=0)),
    "before": listed(file(-2, 1), directory(f=0)),
    "no size": listed(file(0, None), directory(f=0)),
    "negative size": listed(file(3, -2), directory(f=0)),
    "no child": listed(directory(f=7)),
    "no number": listed(directory(f="x")),
    "itself": listed(directory(d=0)),
    "twice": listed(file(), directory(f=0, g=0)),
    "shared bytes": listed(*[file(0, 300)] * 9, directory(**SHARED)),
    "parent": listed(file(), directory(**{"..": 0})),
    "out": listed(file(), directory(**{"../f": 0})),
    "absolute": listed(file(), directory(**{"/f": 0})),
    "backslash": listed(file(), directory(**{"..\\f": 0})),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_listing_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"in it|outside of it"):
        unflatten(HOSTILE[name], tmp_path / "unpacked")
    assert {path.name for path in tmp_path.iterdir()} <= {"unpacked"}
