"""The constants of an ExecuTorch program, those inside its XNNPACK delegates too.

Written after ``exir/_serialize/program.fbs`` and ``backends/xnnpack/serialization/schema.fbs`` of
ExecuTorch 1.5.1; the numbers below are slots of their tables.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from lightmobile.export.verification.flatbuffer import Table, cut, map_file, shaped

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["constants"]

_NO_OFFSET = 2**64 - 1
_TENSOR = 5  # KernelTypes
_EXTERNAL = 1  # TensorDataLocation
_SEGMENT = 1  # DataLocation
_SCALAR_TYPES = {5: "<f2", 6: "<f4", 7: "<f8"}
_XNN_DATATYPES = {1: "<f4", 2: "<f2"}
_XNN_INTEGERS = {12}


def constants(path: Path) -> dict[str, NDArray[Any]]:
    """Return the floating-point constants of a ``.pte`` file by a name that tells where they lie.

    Raises
    ------
    ValueError
        The file is damaged, or holds constants in a form that cannot be compared.
    """
    program = _Program(map_file(path))
    found: dict[str, NDArray[Any]] = {}
    for plan in program.root.tables(1):
        for index, value in enumerate(plan.tables(2)):
            tensor = value.table(1) if value.integer(0, "B") == _TENSOR else None
            array = program.constant(tensor) if tensor else None
            if array is not None:
                found[f"value {index}"] = array
        for index, delegate in enumerate(plan.tables(7)):
            if delegate.text(0) != "XnnpackBackend":
                raise ValueError(f"it delegates to {delegate.text(0)!r}, which cannot be read")
            constants = _xnnpack(program.delegate(delegate), program.named)
            found |= {f"delegate {index}, {name}": array for name, array in constants.items()}
    return found


class _Program:
    """The file: a flatbuffer, then the segments it refers to."""

    def __init__(self, data: memoryview) -> None:
        self.root = Table.root(data, b"ET12")
        base = _segment_base(data)
        self.segments = [
            cut(data, base + segment.integer(0, "Q"), segment.integer(1, "Q"))
            for segment in self.root.tables(4)
        ]
        self.named = {
            entry.text(0): self.segments[entry.integer(1, "I")] for entry in self.root.tables(7)
        }

    def constant(self, tensor: Table) -> NDArray[Any] | None:
        """Return the data of a constant tensor, None for activations and integers."""
        extra = tensor.table(9)
        if extra and extra.integer(2, "b") == _EXTERNAL:
            raise ValueError("it keeps constants in another file")
        index = tensor.integer(5, "I")
        dtype = _SCALAR_TYPES.get(tensor.integer(0, "b"))
        if index == 0 or dtype is None:
            return None
        sizes = tensor.numbers(2, "<i4")
        order = tensor.numbers(3, "u1")
        if sorted(order) != list(range(len(sizes))):
            raise ValueError(f"axes in the order {order} cannot be")
        return shaped(self._buffer(tensor, index), dtype, [sizes[axis] for axis in order])

    def _buffer(self, tensor: Table, index: int) -> memoryview:
        if tensor.table(6):
            raise ValueError("it has weights that change while it runs")
        place = self.root.table(5)
        if place is None:
            return self.root.tables(2)[index].data(0)
        offset = place.numbers(1, "<u8")[index]
        segment = self.segments[place.integer(0, "I")]
        return cut(segment, offset, len(segment) - offset)

    def delegate(self, delegate: Table) -> memoryview:
        """Return what the exporter left for a delegate."""
        place = delegate.table(1)
        if place is None:
            raise ValueError("a delegate has no data")
        index = place.integer(1, "I")
        if place.integer(0, "b") == _SEGMENT:
            return self.segments[index]
        return self.root.tables(3)[index].data(0)


def _segment_base(data: memoryview) -> int:
    if bytes(data[8:12]) != b"eh00":
        return 0
    base: int = struct.unpack("<Q", cut(data, 24, 8))[0]
    return base


def _xnnpack(payload: memoryview, named: dict[str, memoryview]) -> dict[str, NDArray[Any]]:
    """Return the constants of one XNNPACK graph; `named` is the program's shared data."""
    if bytes(payload[4:8]) != b"XH00":
        raise ValueError("an XNNPACK graph does not begin as one does")
    start, size, data_start, data_size = struct.unpack("<IIIQ", cut(payload, 10, 20))
    graph = Table.root(cut(payload, start, size), b"XN01")
    data = cut(payload, data_start, data_size)
    places = graph.tables(8)
    found = {}
    for index, value in enumerate(graph.tables(2)):
        tensor = value.table(1)
        if tensor and value.integer(0, "B") == 2:  # quantized: the tensor is a field of it
            tensor = tensor.table(0)
        place = tensor.integer(3, "I") if tensor else 0
        datatype = tensor.integer(0, "h") if tensor else 0
        if tensor is None or place == 0 or datatype in _XNN_INTEGERS:
            continue
        if datatype not in _XNN_DATATYPES:
            raise ValueError(f"XNNPACK's data type {datatype} cannot be compared")
        values = _xnnpack_data(places[place], data, named)
        found[f"value {index}"] = shaped(values, _XNN_DATATYPES[datatype], tensor.numbers(2, "<u4"))
    return found


def _xnnpack_data(place: Table, data: memoryview, named: dict[str, memoryview]) -> memoryview:
    offset, size, key = place.integer(0, "Q"), place.integer(1, "Q"), place.text(2)
    if offset != _NO_OFFSET:
        return cut(data, offset, size)
    if key not in named:
        raise ValueError(f"a constant named {key[:80]!r} is not in it")
    return cut(named[key], 0, size)
