"""Damage copies of artifacts."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np


def copy(artifact: Path, folder: Path) -> Path:
    """Return a copy of `artifact` in `folder`, without its manifest."""
    damaged = folder / artifact.name
    (shutil.copytree if artifact.is_dir() else shutil.copyfile)(artifact, damaged)
    return damaged


def flip(artifact: Path, weight: np.ndarray, precision: str) -> None:
    """Flip the sign bit of the weight's largest value, in the artifact's own bytes."""
    value = weight.flat[np.abs(weight).argmax()]
    forms = [np.float32(value)]
    if precision == "fp16":
        forms = [np.float16(value), np.float32(np.float16(value))]
    files = [artifact] if artifact.is_file() else [f for f in artifact.rglob("*") if f.is_file()]
    for file in files:
        data = bytearray(file.read_bytes())
        for form in forms:
            places = find(data, form.tobytes(), weight, form.dtype)
            if places:
                for place in places:
                    data[place + form.nbytes - 1] ^= 0x80
                file.write_bytes(data)
                return
    raise AssertionError("the weight is not in the artifact")


def find(data: bytearray, value: bytes, weight: np.ndarray, dtype: np.dtype) -> list[int]:
    """Return where `value` lies among other values of the same weight."""
    known = set(weight.astype(np.float16).astype(dtype).ravel().tolist())
    known |= set(weight.astype(dtype).ravel().tolist())
    places, start = [], data.find(value)
    while start >= 0:
        near = np.frombuffer(data[max(0, start % dtype.itemsize) : start], dtype)[-1:]
        after = np.frombuffer(data[start + dtype.itemsize : start + 2 * dtype.itemsize], dtype)
        if known.intersection([*near.tolist(), *after.tolist()]):
            places.append(start)
        start = data.find(value, start + 1)
    return places
