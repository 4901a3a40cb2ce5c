"""Look at and damage the values of operators inside a ``.mlpackage``."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

# Of the header before each value in a weight file: sentinel, type, bytes, where they start.
_HEADER = struct.Struct("<IIQQ")
_SENTINEL = 0xDEADBEEF


def change(
    package: Path, operator: str, parameter: str, dtype: Any, damage: Callable[[np.ndarray], None]
) -> None:
    """Let `damage` write to a parameter of the package's last `operator` that has a large one.

    `dtype` is the one of its values in the file; what is packed into bits comes as bytes.
    """
    model = package / "Data/com.apple.CoreML/model.mlmodel"
    specification = _read(model)
    values = list(_values(specification, operator, parameter))
    large = [value for value in values if value.WhichOneof("value") == "blobFileValue"]
    if large:
        _change_blob(package, large[-1].blobFileValue, dtype, damage)
    else:
        tensor = values[-1].immediateValue.tensor
        array = np.frombuffer(tensor.bytes.values, dtype).copy()
        damage(array)
        tensor.bytes.values = array.tobytes()
        model.write_bytes(specification.SerializeToString())


def shapes(package: Path, operator: str, parameter: str) -> list[tuple[int, ...]]:
    """Return the shape of the parameter at each such operator."""
    specification = _read(package / "Data/com.apple.CoreML/model.mlmodel")
    return [
        tuple(dimension.constant.size for dimension in value.type.tensorType.dimensions)
        for value in _values(specification, operator, parameter)
    ]


def _read(model: Path) -> Any:
    from coremltools.proto import Model_pb2

    return Model_pb2.Model.FromString(model.read_bytes())


def _values(specification: Any, operator: str, parameter: str) -> Iterator[Any]:
    """Yield the parameter of each such operator, wherever it is written."""
    (function,) = specification.mlProgram.functions.values()
    (block,) = function.block_specializations.values()
    constants = {
        operation.outputs[0].name: operation.attributes["val"]
        for operation in block.operations
        if operation.type == "const"
    }
    for operation in block.operations:
        if operation.type == operator and parameter in operation.attributes:
            yield operation.attributes[parameter]
        elif operation.type == operator:
            (argument,) = operation.inputs[parameter].arguments
            named = argument.WhichOneof("binding") == "name"
            yield constants[argument.name] if named else argument.value


def _change_blob(
    package: Path, blob: Any, dtype: Any, damage: Callable[[np.ndarray], None]
) -> None:
    (file,) = package.rglob(Path(blob.fileName).name)  # @model_path/weights/weight.bin
    content = bytearray(file.read_bytes())
    sentinel, _, size, start = _HEADER.unpack_from(content, blob.offset)
    assert sentinel == _SENTINEL
    array = np.frombuffer(content, dtype, size // np.dtype(dtype).itemsize, start)
    damage(array)
    file.write_bytes(content)
