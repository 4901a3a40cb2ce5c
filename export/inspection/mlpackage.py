"""What is in a ``.mlpackage``: the operators and constants of its MIL program."""

from __future__ import annotations

import importlib.util
import math
import os
import struct
import sys
from collections import Counter
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

from lightmobile.export.inspection.contents import (
    BY_THE_FILE,
    Contents,
    Memory,
    Value,
    weights_by_format,
)
from lightmobile.export.manifest import Placement
from lightmobile.export.verification.mil.package import Package, operations, read_package
from lightmobile.export.verification.stored import Stored, bits_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["operators_and_weights", "read"]

# The parameter of a compressed constant that holds its numbers.
_NUMBERS = {
    "constexpr_affine_dequantize": "quantized_data",
    "constexpr_blockwise_shift_scale": "data",
    "constexpr_cast": "source_val",
    "constexpr_lut_to_dense": "indices",
    "constexpr_lut_to_sparse": "indices_nonzero_data",
    "constexpr_sparse_blockwise_shift_scale": "nonzero_data",
    "constexpr_sparse_to_dense": "nonzero_data",
}

# What precedes the numbers in a weight file: sentinel, type, bytes, and where they begin.
_BLOB = struct.Struct("<IIQQ")
_SENTINEL = 0xDEADBEEF


def read(path: Path) -> Contents:
    """Return what is in the package at `path`.

    Raises
    ------
    UsageError, VerificationError
        As `read_package`.
    ValueError
        Its weights are cut off.
    """
    with _messages_alone():
        package = read_package(path)
        description = package.specification.description
        return Contents(
            backend="coreml",
            inputs=tuple(_value(feature) for feature in description.input),
            outputs=tuple(_value(feature) for feature in description.output),
            placements=(
                Placement(
                    delegate="coreml",
                    by=f"{BY_THE_FILE}; Core ML chooses CPU, GPU or Neural Engine when it loads it",
                    delegated_subgraphs=1,
                    delegated=dict(_operators(package)),
                    undelegated={},
                ),
            ),
            weights=weights_by_format(_weights(package)),
            memory=Memory(note="Core ML allocates when it loads"),
        )


def operators_and_weights(path: Path) -> tuple[Counter[str], list[Stored]]:
    """Return the operators of the package at `path`, and how it keeps its weights; as `read`."""
    with _messages_alone():
        package = read_package(path)
        return _operators(package), list(_weights(package))


@contextmanager
def _messages_alone() -> Iterator[None]:
    """Let coremltools' protobuf messages be imported without coremltools, which takes seconds."""
    spec = importlib.util.find_spec("coremltools")
    if spec is None or "coremltools" in sys.modules:
        yield
        return
    stand_in = ModuleType("coremltools")
    stand_in.__path__ = list(spec.submodule_search_locations or [])
    sys.modules["coremltools"] = stand_in
    try:
        yield
    finally:
        del sys.modules["coremltools"]


def _operators(package: Package) -> Counter[str]:
    return Counter(op.type for op in operations(package.block) if op.type != "const")


def _value(feature: Any) -> Value:
    kind = feature.type.WhichOneof("Type")
    if kind == "multiArrayType":
        array = feature.type.multiArrayType
        dtype = type(array).ArrayDataType.Name(array.dataType).lower()
        return Value(feature.name, tuple(array.shape), dtype)
    if kind == "imageType":
        image = feature.type.imageType
        return Value(feature.name, (image.height, image.width), "image")
    return Value(feature.name, (), str(kind))


def _weights(package: Package) -> Iterator[Stored]:
    """Yield how the program keeps its constants; integers that nothing scales are shapes."""
    constants = {
        op.outputs[0].name: op.attributes["val"]
        for op in operations(package.block)
        if op.type == "const"
    }
    parts = set()
    for operation in operations(package.block):
        if operation.type.startswith("constexpr_"):
            parameters, names = _parameters(operation, constants)
            parts |= names
            numbers = parameters.get(_NUMBERS.get(operation.type, ""))
            if numbers is not None:  # None: another compressed constant, which comes itself
                yield _compressed(operation, numbers, parameters, package)
    for name, value in constants.items():
        dtype, shape = _type(value)
        if name not in parts and "float" in dtype:
            yield Stored.of(dtype, bits_of(dtype), shape, _held(value, package))


def _parameters(operation: Any, constants: Mapping[str, Any]) -> tuple[dict[str, Any], set[str]]:
    """Return the constant parameters of an operation, and the names of those it shares."""
    parameters, names = dict(operation.attributes), set()
    for parameter, argument in operation.inputs.items():
        for binding in argument.arguments:
            if binding.WhichOneof("binding") == "value":
                parameters[parameter] = binding.value
            elif binding.name in constants:
                parameters[parameter] = constants[binding.name]
                names.add(binding.name)
    return parameters, names


def _compressed(
    operation: Any, numbers: Any, parameters: Mapping[str, Any], package: Package
) -> Stored:
    dtype, shape = _type(numbers)
    _, dense = _type(operation.outputs[0])
    form = dtype
    if "lut" in parameters:
        form = f"{_palette_bits(parameters)}-bit palette"
    elif "scale" in parameters:
        form = dtype + _grid_name(_type(parameters["scale"])[1])
    if "sparse" in operation.type:
        form = f"sparse {form}"
    held = Stored.of(form, bits_of(dtype), shape, _held(numbers, package))
    return Stored(form, math.prod(dense), held.bytes)


def _palette_bits(parameters: Mapping[str, Any]) -> int:
    _, shape = _type(parameters["lut"])
    # iOS 16 has one palette of numbers; iOS 18 many of vectors.
    entries = shape[0] if "shape" in parameters else shape[-2]
    return (entries - 1).bit_length()


def _grid_name(scales: tuple[int, ...]) -> str:
    several = sum(size > 1 for size in scales)
    return (" per tensor", " per channel", " per block")[min(several, 2)]


def _type(value: Any) -> tuple[str, tuple[int, ...]]:
    """Return the element type and shape of a value."""
    tensor = value.type.tensorType
    field = type(tensor).DESCRIPTOR.fields_by_name["dataType"]
    dtype = field.enum_type.values_by_number[tensor.dataType].name.lower()
    return dtype, tuple(axis.constant.size for axis in tensor.dimensions)


def _held(value: Any, package: Package) -> int | None:
    """Return how many bytes the weight file has of a value; None of what the program itself has.

    The file's format: ``MILBlob/Blob/StorageFormat.hpp`` of coremltools.
    """
    if value.WhichOneof("value") != "blobFileValue":
        return None
    blob = value.blobFileValue
    with (package.weights / blob.fileName.rpartition("/")[2]).open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(blob.offset)
        header = file.read(_BLOB.size).ljust(_BLOB.size, b"\0")
    sentinel, _, size, start = _BLOB.unpack(header)
    if sentinel != _SENTINEL or start + size > end:
        raise ValueError(f"its weights at byte {blob.offset} are cut off or damaged")
    return int(size)
