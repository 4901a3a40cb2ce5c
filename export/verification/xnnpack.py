"""The operators and constants of a graph that ExecuTorch leaves for XNNPACK.

Written after ``backends/xnnpack/serialization/schema.fbs`` of ExecuTorch 1.5.1; the numbers below
are slots of its tables.
"""

from __future__ import annotations

import struct
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from lightmobile.export.verification.compressed import Compressed, quantized
from lightmobile.export.verification.flatbuffer import Table, cut, shaped
from lightmobile.export.verification.stored import Stored

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["constants", "operators", "stored", "traffic"]

_NO_OFFSET = 2**64 - 1
_QUANTIZED = 2  # XValueUnion
_PER_CHANNEL, _PER_TENSOR = 1, 2  # XNNQuantParams
_FLOATS = {1: "<f4", 2: "<f2"}  # XNNDatatype
_LEVELS = {3: "i1", 5: "<i4", 6: "i1", 7: "<i4"}
_INDICES = 12
_FORMATS = {
    1: ("float32", 32),
    2: ("float16", 16),
    3: ("int8 per tensor", 8),
    4: ("uint8 per tensor", 8),
    5: ("int32 per tensor", 32),
    6: ("int8 per channel", 8),
    7: ("int32 per channel", 32),
    8: ("int4 per channel", 4),
    9: ("int8 dynamic", 8),
    10: ("int4 per block", 4),
    11: ("int8 dynamic", 8),
    13: ("float32", 32),
    14: ("bfloat16", 16),
}
# XNodeUnion; the first stands for none.
_NAMES = """
NONE Add FullyConnected Softmax Sigmoid StaticTranspose Clamp Conv2d Div StaticResizeBilinear2D
StaticConstantPad AvgPooling2d Minimum DepthwiseConv2d MaxPooling2d Multiply Subtract Floor Convert
GlobalAvgPooling2d StaticReshape ArgMaxPooling2d SquareRoot Ceiling Hardswish LeakyReLU Maximum
Negate Square ELU Abs PReLU Concatenate2 Concatenate3 Concatenate4 StaticSlice
ScaledDotProductAttention BatchMatrixMultiply Concatenate5 ConvTranspose2d ReciprocalSquareRoot Log
Gelu Tanh Exp Sin Copy Cos
"""
_NODES = _NAMES.split()
# The slots of a node's inputs and of its output; of a node that is not here they are the 1x1's.
_ONE = ((0,), 1)
_TWO = ((0, 1), 2)
_SLOTS: dict[str, tuple[tuple[int, ...], int]] = {
    **dict.fromkeys(("Add", "Div", "Minimum", "Multiply", "Subtract", "Maximum", "PReLU"), _TWO),
    "BatchMatrixMultiply": _TWO,
    "FullyConnected": ((0, 1, 2), 3),
    **dict.fromkeys(("Conv2d", "DepthwiseConv2d", "ConvTranspose2d"), ((15, 16, 17), 18)),
    **dict.fromkeys(("AvgPooling2d", "MaxPooling2d"), ((10,), 11)),
    **dict.fromkeys(("StaticTranspose", "StaticResizeBilinear2D", "StaticReshape"), ((2,), 3)),
    **dict.fromkeys(("StaticConstantPad", "StaticSlice"), ((3,), 4)),
    **dict.fromkeys(("ELU", "LeakyReLU"), ((1,), 2)),
    "ArgMaxPooling2d": ((6,), 7),
    "ScaledDotProductAttention": ((0, 1, 2, 3, 4), 5),
    "Concatenate2": ((1, 2), 5),
    "Concatenate3": ((1, 2, 3), 5),
    "Concatenate4": ((1, 2, 3, 4), 5),
    "Concatenate5": ((1, 2, 3, 4, 7), 5),
}


def constants(
    payload: memoryview, named: Mapping[str, memoryview]
) -> dict[str, NDArray[Any] | Compressed]:
    """Return the constants of one graph, by the number of their value.

    Parameters
    ----------
    payload
        What the exporter left for the delegate.
    named
        The data that the program's delegates share.

    Raises
    ------
    ValueError
        The graph is damaged, or holds constants in a form that cannot be compared.
    """
    graph, data = _open(payload, named)
    found = {}
    for index, value in enumerate(graph.tables(2)):
        constant = _constant(value, data)
        if constant is not None:
            found[f"value {index}"] = constant
    return found


def operators(payload: memoryview) -> Counter[str]:
    """Count the operators of one graph, by XNNPACK's names."""
    graph, _ = _open(payload, {})
    return Counter(_operator(node.integer(0, "B")) for node in graph.tables(1))


def traffic(payload: memoryview) -> int:
    """Return the bytes that the operators of one graph read and write.

    Each reads its inputs and weights once and writes its output once; a slice reads what it keeps.
    """
    graph, _ = _open(payload, {})
    sizes = {}
    for value in graph.tables(2):
        tensor, _grid = _tensor(value)
        if tensor:
            sizes[tensor.integer(6, "I")] = _size(tensor)
    total = 0
    for node in graph.tables(1):
        name, body = _operator(node.integer(0, "B")), node.table(1)
        if body is None:
            raise ValueError("a node of an XNNPACK graph is empty")
        inputs, output = _SLOTS.get(name, _ONE)
        written = sizes.get(body.integer(output, "I"), 0)
        read = [sizes.get(number, 0) for number in {body.integer(slot, "I") for slot in inputs}]
        total += written + (written if name == "StaticSlice" else sum(read))
    return total


def _size(tensor: Table) -> int:
    return 0 if tensor.integer(0, "h") == _INDICES else _stored(tensor, None).bytes


def stored(payload: memoryview, named: Mapping[str, memoryview]) -> list[Stored]:
    """Return how one graph keeps its weights; `payload` and `named` as for `constants`."""
    graph, data = _open(payload, named)
    found = {}  # by place: values may share their data
    for value in graph.tables(2):
        tensor, _ = _tensor(value)
        place = tensor.integer(3, "I") if tensor else 0
        if tensor and place and tensor.integer(0, "h") != _INDICES:
            found[place] = _stored(tensor, len(data[place]))
    return list(found.values())


def _stored(tensor: Table, size: int | None) -> Stored:
    kind = tensor.integer(0, "h")
    if kind not in _FORMATS:
        raise ValueError(f"XNNPACK's data type {kind} is not known")
    form, bits = _FORMATS[kind]
    return Stored.of(form, bits, tensor.numbers(2, "<u4"), size)


def _operator(number: int) -> str:
    return _NODES[number] if number < len(_NODES) else f"operator {number}"


def _open(payload: memoryview, named: Mapping[str, memoryview]) -> tuple[Table, _Data]:
    if bytes(payload[4:8]) != b"XH00":
        raise ValueError("an XNNPACK graph does not begin as one does")
    start, size, data_start, data_size = struct.unpack("<IIIQ", cut(payload, 10, 20))
    graph = Table.root(cut(payload, start, size), b"XN01")
    return graph, _Data(graph.tables(8), cut(payload, data_start, data_size), named)


class _Data:
    """Where a graph's constants lie: in the graph, or among what delegates share."""

    def __init__(
        self, places: list[Table], own: memoryview, named: Mapping[str, memoryview]
    ) -> None:
        self._places = places
        self._own = own
        self._named = named

    def __getitem__(self, index: int) -> memoryview:
        place = self._places[index]
        offset, size, key = place.integer(0, "Q"), place.integer(1, "Q"), place.text(2)
        if offset != _NO_OFFSET:
            return cut(self._own, offset, size)
        if key not in self._named:
            raise ValueError(f"a constant named {key[:80]!r} is not in it")
        return cut(self._named[key], 0, size)


def _constant(value: Table, data: _Data) -> NDArray[Any] | Compressed | None:
    """Return what `value` holds, None for activations and for indices."""
    union, grid = _tensor(value)
    place = union.integer(3, "I") if union else 0
    kind = union.integer(0, "h") if union else 0
    if union is None or place == 0 or kind == _INDICES:
        return None
    dtype = (_LEVELS if grid else _FLOATS).get(kind)
    if dtype is None:
        raise ValueError(f"XNNPACK's data type {kind} cannot be compared")
    values = shaped(data[place], dtype, union.numbers(2, "<u4"))
    return _quantized(values, grid, data) if grid else values


def _tensor(value: Table) -> tuple[Table | None, Table | None]:
    """Return the tensor that `value` is, and the grid it lies on if it has one."""
    union = value.table(1)
    if union and value.integer(0, "B") == _QUANTIZED:
        return union.table(0), union
    return union, None


def _quantized(levels: NDArray[Any], grid: Table, data: _Data) -> Compressed:
    kind, parameters = grid.integer(1, "B"), grid.table(2)
    if parameters and kind == _PER_TENSOR:
        scale = np.array(parameters.real(0, "f"))
        return quantized(levels, scale, parameters.integer(1, "i"))
    if parameters is None or kind != _PER_CHANNEL:
        raise ValueError("it keeps constants on a grid that cannot be compared")
    axis, count = parameters.integer(1, "i"), parameters.integer(3, "I")
    if not 0 <= axis < levels.ndim or levels.shape[axis] != count:
        raise ValueError(f"{count} scales do not fit axis {axis} of {levels.shape}")
    return quantized(levels, shaped(data[parameters.integer(2, "I")], "<f4", [count]), axis=axis)
