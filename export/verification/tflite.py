"""The constants of a TFLite model, after ``schema.fbs`` of LiteRT 2.3 (schema version 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lightmobile.export.verification.compressed import Compressed, quantized
from lightmobile.export.verification.flatbuffer import Table, cut, map_file, shaped

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["Model", "constants"]

_FLOATS = {0: "<f4", 1: "<f2", 10: "<f8"}  # TensorType
_INTEGERS = {2: "<i4", 3: "u1", 4: "<i8", 7: "<i2", 9: "i1", 12: "<u8", 15: "<u4", 16: "<u2"}
_STRING, _BOOL = 5, 6


def constants(path: Path) -> dict[str, NDArray[Any] | Compressed]:
    """Return the constants of a ``.tflite`` file that hold numbers, by their tensors' names.

    Integers without a scale are left out: they are shapes and axes.

    Raises
    ------
    ValueError
        The file is damaged, or holds constants in a form that cannot be compared.
    """
    model = Model(map_file(path))
    found = {}
    for graph, subgraph in enumerate(model.root.tables(2)):
        for index, tensor in enumerate(subgraph.tables(0)):
            if tensor.integer(10, "I") or tensor.table(6):
                raise ValueError("it keeps constants sparse or in another file")
            content = model.content(tensor)
            constant = _constant(tensor, content) if content else None
            if constant is not None:
                found[f"tensor {graph}.{index} {tensor.text(3)[:80]}"] = constant
    return found


class Model:
    """The file: a flatbuffer, and the buffers that it holds or that follow it."""

    def __init__(self, data: memoryview) -> None:
        self.root = Table.root(data, b"TFL3")
        self._buffers = [_content(data, buffer) for buffer in self.root.tables(4)]

    def content(self, tensor: Table) -> memoryview:
        """Return the bytes of a constant tensor; of others there are none."""
        return self._buffers[tensor.integer(2, "I")]


def _constant(tensor: Table, content: memoryview) -> NDArray[Any] | Compressed | None:
    kind = tensor.integer(1, "b")
    if kind in (_STRING, _BOOL):
        return None
    dtype = _FLOATS.get(kind) or _INTEGERS.get(kind)
    if dtype is None:
        raise ValueError(f"it keeps a constant in numbers of type {kind}, which cannot be compared")
    values = shaped(content, dtype, tensor.numbers(0, "<i4"))
    if kind in _FLOATS:
        return values
    grid = tensor.table(4)
    return _quantized(values, grid) if grid and grid.numbers(2, "<f4") else None


def _quantized(levels: NDArray[Any], grid: Table) -> Compressed:
    scale, zero_point = grid.numbers(2, "<f4"), grid.numbers(3, "<i8")
    axis = grid.integer(6, "i")
    if grid.integer(4, "B"):
        raise ValueError("it keeps constants on a grid that cannot be compared")
    if len(zero_point) != len(scale):
        raise ValueError(f"{len(scale)} scales have {len(zero_point)} zero points")
    if len(scale) == 1:
        return quantized(levels, np.array(scale), np.array(zero_point))
    if not 0 <= axis < levels.ndim or levels.shape[axis] != len(scale):
        raise ValueError(f"{len(scale)} scales do not fit axis {axis} of {levels.shape}")
    return quantized(levels, np.array(scale), np.array(zero_point), axis)


def _content(data: memoryview, buffer: Table) -> memoryview:
    # Models above 2 GB keep their buffers after the flatbuffer; offsets 0 and 1 mean inside it.
    offset = buffer.integer(1, "Q")
    return cut(data, offset, buffer.integer(2, "Q")) if offset > 1 else buffer.data(0)
