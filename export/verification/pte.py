"""The constants of an ExecuTorch program, those inside its XNNPACK delegates too.

Written after ``exir/_serialize/program.fbs`` of ExecuTorch 1.5.1; the numbers below are slots of
its tables.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from lightmobile.export.verification import xnnpack
from lightmobile.export.verification.flatbuffer import Table, cut, map_file, shaped
from lightmobile.export.verification.stored import Stored, bits_of

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from lightmobile.export.verification.compressed import Compressed

__all__ = ["Program", "constants", "dtype_of"]

_TENSOR = 5  # KernelTypes
_EXTERNAL = 1  # TensorDataLocation
_SEGMENT = 1  # DataLocation
_NAMES = {  # ScalarType
    0: "uint8",
    1: "int8",
    2: "int16",
    3: "int32",
    4: "int64",
    5: "float16",
    6: "float32",
    7: "float64",
    11: "bool",
    15: "bfloat16",
    23: "float8_e5m2",
    24: "float8_e4m3fn",
    27: "uint16",
    28: "uint32",
    29: "uint64",
}
_SCALAR_TYPES = {5: "<f2", 6: "<f4", 7: "<f8"}


def constants(path: Path) -> dict[str, NDArray[Any] | Compressed]:
    """Return the constants of a ``.pte`` file that hold numbers, by where they lie.

    Raises
    ------
    ValueError
        The file is damaged, or holds constants in a form that cannot be compared.
    """
    program = Program(map_file(path))
    found: dict[str, NDArray[Any] | Compressed] = {}
    for plan in program.root.tables(1):
        for index, value in enumerate(plan.tables(2)):
            tensor = value.table(1) if value.integer(0, "B") == _TENSOR else None
            array = program.constant(tensor) if tensor else None
            if array is not None:
                found[f"value {index}"] = array
        for index, delegate in enumerate(plan.tables(7)):
            if delegate.text(0) != "XnnpackBackend":
                raise ValueError(f"it delegates to {delegate.text(0)!r}, which cannot be read")
            constants = xnnpack.constants(program.delegate(delegate), program.named)
            found |= {f"delegate {index}, {name}": array for name, array in constants.items()}
    return found


class Program:
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

    def stored(self, tensor: Table) -> Stored | None:
        """Return how a constant tensor is kept, None for activations."""
        index = tensor.integer(5, "I")
        if index == 0:
            return None
        dtype, sizes = dtype_of(tensor), tensor.numbers(2, "<i4")
        extra = tensor.table(9)
        if extra and extra.integer(2, "b") == _EXTERNAL:
            return Stored.of(f"{dtype}, in another file", bits_of(dtype), sizes, None)
        return Stored.of(dtype, bits_of(dtype), sizes, len(self._buffer(tensor, index)))

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


def dtype_of(tensor: Table) -> str:
    """Return the name of a tensor's type."""
    number = tensor.integer(0, "b")
    if number not in _NAMES:
        raise ValueError(f"ExecuTorch's scalar type {number} is not known")
    return _NAMES[number]


def _segment_base(data: memoryview) -> int:
    if bytes(data[8:12]) != b"eh00":
        return 0
    base: int = struct.unpack("<Q", cut(data, 24, 8))[0]
    return base
