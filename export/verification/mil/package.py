"""Open a ``.mlpackage`` and check that what will be evaluated is all that it can run.

Core ML and coremltools resolve a package's files by different rules; a package on which they
could differ is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from lightmobile.errors import UsageError, VerificationError

__all__ = ["Package", "open_package", "operations", "read_package"]

_WEIGHTS = "@model_path/weights/"


@dataclass(frozen=True, slots=True)
class Package:
    """An opened package.

    Attributes
    ----------
    specification
        The parsed ``Model`` message.
    function
        Name of its only function.
    block
        What that function does.
    weights
        The folder that its weight files are in; may be absent if it has none.
    names
        Every value that the program defines.
    """

    specification: Any
    function: str
    block: Any
    weights: Path
    names: frozenset[str]


def open_package(path: Path) -> Package:
    """Parse and check the package at `path`, which is to be evaluated.

    Raises
    ------
    UsageError
        As `read_package`.
    VerificationError
        As `read_package`, or it has operators that the evaluator does not know.
    """
    package = read_package(path)
    _refuse_unknown(package.block)
    return package


def read_package(path: Path) -> Package:
    """Parse and check the package at `path`; its weight files are not read yet.

    Raises
    ------
    UsageError
        Not a Core ML package, or unreadable.
    VerificationError
        It is not an ML program, has several functions, or files outside the package.
    """
    data = (path / "Data").resolve()
    model = _inside(data, _model_file(path))
    weights = model.parent / "weights"
    specification = _parse(model)
    function, block = _only_block(specification)
    for file in sorted(set(_weight_files(block))):
        name = file.removeprefix(_WEIGHTS)
        if name == file or PurePosixPath(name).name != name:
            raise VerificationError(f"The program reads weights from {file!r}", fix=_DAMAGED)
        _inside(data, str((weights / name).relative_to(data)))
    return Package(specification, function, block, weights, frozenset(_names(specification, block)))


_DAMAGED = "The package is damaged or was tampered with; export it again"


def _model_file(path: Path) -> str:
    manifest = path / "Manifest.json"
    try:
        content = json.loads(manifest.read_bytes())
        return str(content["itemInfoEntries"][content["rootModelIdentifier"]]["path"])
    except OSError as error:
        raise UsageError(f"Cannot read {manifest}", why=error.strerror or str(error)) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(
            f"{path} is not a Core ML package", why="Its Manifest.json is damaged", fix=_DAMAGED
        ) from error


def _inside(folder: Path, relative: str) -> Path:
    try:
        file = (folder / relative).resolve()
        present = file.is_file()
    except (OSError, ValueError) as error:  # a name too long, or with a null character
        raise VerificationError(
            f"The package has no file {relative!r}", why=str(error), fix=_DAMAGED
        ) from error
    if not file.is_relative_to(folder):
        raise VerificationError(f"The package names {relative!r} outside of itself", fix=_DAMAGED)
    if not present:
        raise VerificationError(f"The package has no file {relative!r}", fix=_DAMAGED)
    return file


def _parse(model: Path) -> Any:
    from coremltools.proto import Model_pb2
    from google.protobuf.message import DecodeError

    try:
        return Model_pb2.Model.FromString(model.read_bytes())
    except OSError as error:
        raise UsageError(f"Cannot read {model}", why=error.strerror or str(error)) from error
    except DecodeError as error:
        raise UsageError(f"{model} is not a Core ML model", why=str(error), fix=_DAMAGED) from error


def _only_block(specification: Any) -> tuple[str, Any]:
    kind = specification.WhichOneof("Type")
    if kind != "mlProgram":
        raise VerificationError(f"The model is a {kind}, not an ML program")
    functions = specification.mlProgram.functions
    if len(functions) != 1:
        raise VerificationError(
            f"The program has {len(functions)} functions: {', '.join(sorted(functions)) or 'none'}",
            why="Only a program with one function can be verified as a whole",
        )
    (name,) = functions
    blocks = functions[name].block_specializations
    if list(blocks) != [functions[name].opset]:
        raise VerificationError(
            f"Function {name!r} is written for {', '.join(sorted(blocks)) or 'nothing'}",
            why="A device would choose among them; only one can be verified",
        )
    return name, blocks[functions[name].opset]


def operations(block: Any) -> Iterator[Any]:
    """Yield the operations of a block, and those of the blocks in them."""
    for operation in block.operations:
        yield operation
        for nested in operation.blocks:
            yield from operations(nested)


def _weight_files(block: Any) -> Iterator[str]:
    for operation in operations(block):
        for value in operation.attributes.values():
            yield from _files_of(value)
        for argument in operation.inputs.values():
            for binding in argument.arguments:
                if binding.WhichOneof("binding") == "value":
                    yield from _files_of(binding.value)


def _files_of(value: Any) -> Iterator[str]:
    if value.WhichOneof("value") == "blobFileValue":
        yield value.blobFileValue.fileName
    elif value.immediateValue.WhichOneof("value") == "list":
        for item in value.immediateValue.list.values:
            yield from _files_of(item)


def _refuse_unknown(block: Any) -> None:
    from lightmobile.export.verification.mil.registry import known

    unknown = {
        operation.type: ", ".join(repr(output.name) for output in operation.outputs)
        for operation in operations(block)
        if operation.type not in known() | {"const"}
    }
    if unknown:
        listed = "; ".join(f"{kind!r} of {outputs}" for kind, outputs in sorted(unknown.items()))
        raise VerificationError(
            f"The program has operators that this evaluator does not know: {listed}",
            why="What they compute would go unverified",
        )


def _names(specification: Any, block: Any) -> Iterator[str]:
    seen: set[str] = set()
    defined = [output.name for op in operations(block) for output in op.outputs]
    function = next(iter(specification.mlProgram.functions.values()))
    for name in [value.name for value in function.inputs] + defined:
        if name in seen:
            raise VerificationError(f"The program defines {name!r} twice", fix=_DAMAGED)
        seen.add(name)
        yield name
