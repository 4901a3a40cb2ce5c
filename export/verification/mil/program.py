"""A Core ML program loaded back from its package, ready to run in PyTorch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lightmobile.errors import UsageError, VerificationError
from lightmobile.export.verification.compressed import Compressed
from lightmobile.export.verification.mil import (
    activations,
    compression,
    convolution,
    elementwise,
    linear,
    normalization,
    pooling,
    reduction,
    resizing,
    shape,
    slicing,
)
from lightmobile.export.verification.mil.package import Package, open_package
from lightmobile.export.verification.mil.registry import Node, Output, Value, evaluate
from lightmobile.export.verification.mil.types import TensorType

__all__ = ["OPERATOR_MODULES", "MilProgram"]

# Importing them registers their operators.
OPERATOR_MODULES = (
    activations,
    compression,
    convolution,
    elementwise,
    linear,
    normalization,
    pooling,
    reduction,
    resizing,
    shape,
    slicing,
)

Array = NDArray[Any]


class MilProgram:
    """A program that a ``.mlpackage`` holds, its constants decompressed.

    Each operator is computed in fp32 and its result rounded to the type that the program
    declares for it. Where that is fp16, this is what a device with fp32 accumulators does; one
    that also accumulates in fp16 loses more.

    Attributes
    ----------
    inputs, outputs
        Shape and element type of each by name; shapes are fixed, the batch's size included.
    """

    def __init__(
        self,
        inputs: list[Output],
        nodes: list[Node],
        outputs: list[Output],
        constants: dict[int, Value],
        weights: dict[str, int],
        grids: dict[int, Compressed],
    ) -> None:
        self._inputs = inputs
        self._outputs = outputs
        self._nodes = nodes
        self._constants = constants
        self._weights = weights
        self._grids = grids
        self._last_used = _last_used(nodes, outputs)
        self.inputs = {value.name: value.type for value in inputs}
        self.outputs = {value.name: value.type for value in outputs}

    @classmethod
    def load(cls, path: Path) -> MilProgram:
        """Load the program of the package at `path`, with its weights.

        A package is untrusted: call this where a crash of the native weight reader, or a
        program of absurd sizes, does no harm.

        Raises
        ------
        UsageError
            Not a Core ML package, or unreadable.
        VerificationError
            Damaged, or beyond what can be verified (see :func:`.package.open_package`).
        """
        package = open_package(path)
        try:
            return _Reader(package.names).read(_transcribe(package))
        except VerificationError:
            raise
        except Exception as error:  # coremltools raises anything on a damaged program
            raise VerificationError(f"Cannot load the program of {path}", why=str(error)) from error

    def operators(self) -> Counter[str]:
        """Count the operators by type, constants left out."""
        return Counter(node.type for node in self._nodes)

    def weights(self) -> dict[str, Array | Compressed]:
        """Return the floating-point constants of more than one element, by their names.

        Those that the package keeps quantized or in palettes come with their grids, other
        compressed ones decompressed, each in place of the constants it is made of. The arrays
        share memory with the program: do not write to them.
        """
        return {
            name: self._grids.get(slot) or constant.numpy()
            for name, slot in self._weights.items()
            if isinstance(constant := self._constants[slot], Tensor)
        }

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Evaluate the program.

        Parameters
        ----------
        inputs
            An array for each input, of its exact shape; rounded to its type.

        Raises
        ------
        UsageError
            Inputs of other names or shapes.
        VerificationError
            An operator cannot be evaluated.
        """
        if inputs.keys() != self.inputs.keys():
            raise UsageError(
                f"The program takes {', '.join(sorted(self.inputs))}",
                why=f"It was given {', '.join(sorted(inputs)) or 'nothing'}",
            )
        values = dict(self._constants)
        for declared in self._inputs:
            values[declared.slot] = _to_tensor(inputs[declared.name], declared)
        with torch.inference_mode():
            for place, node in enumerate(self._nodes):
                for output, result in zip(node.outputs, evaluate(node, values), strict=True):
                    values[output.slot] = result
                for slot in self._last_used.get(place, ()):
                    del values[slot]
            return {o.name: _to_array(values[o.slot], o) for o in self._outputs}


def _last_used(nodes: list[Node], outputs: list[Output]) -> dict[int, list[int]]:
    """Return, by place in the program, the slots that nothing reads later."""
    last: dict[int, int] = {}
    for place, node in enumerate(nodes):
        last |= dict.fromkeys(node.slots(), place)
        last |= {output.slot: place for output in node.outputs}
    places: dict[int, list[int]] = {}
    for slot in last.keys() - {output.slot for output in outputs}:
        places.setdefault(last[slot], []).append(slot)
    return places


def _to_tensor(array: Array, declared: Output) -> Tensor:
    if array.shape != declared.type.shape:
        raise UsageError(
            f"Input {declared.name!r} has shape {array.shape}",
            why=f"The program takes {declared.type}",
        )
    return torch.from_numpy(np.require(array, requirements=["C", "W"])).to(declared.type.storage)


def _to_array(value: Value, declared: Output) -> Array:
    if isinstance(value, str):
        raise VerificationError(f"Output {declared.name!r} is a string")
    return value.numpy().astype(declared.type.numpy)


def _transcribe(package: Package) -> Any:
    from coremltools.converters.mil.frontend.milproto.load import load

    program = load(
        package.specification,
        package.specification.specificationVersion,
        file_weights_dir=str(package.weights),
    )
    return program.functions[package.function]


class _Reader:
    """Turns a function of coremltools' in-memory program into nodes and constants.

    Constant expressions are evaluated on the way, so that what they are made of can be freed.
    """

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names
        self._slots: dict[Any, int] = {}
        self._constants: dict[int, Value] = {}
        self._weights: dict[str, int] = {}
        self._grids: dict[int, Compressed] = {}
        self._folded: set[int] = set()

    def read(self, function: Any) -> MilProgram:
        inputs = [self._output(var) for var in function.inputs.values()]
        nodes = [node for operation in function.operations for node in self._node(operation)]
        used = {slot for node in nodes for slot in node.slots()}
        outputs = [self._output(var) for var in function.outputs]
        used |= {output.slot for output in outputs}
        compressed = self._folded - used
        weights = {n: s for n, s in self._weights.items() if s not in compressed}
        constants = {
            slot: value
            for slot, value in self._constants.items()
            if slot in used or slot in weights.values()
        }
        return MilProgram(inputs, nodes, outputs, constants, weights, self._grids)

    def _node(self, operation: Any) -> Iterator[Node]:
        outputs = tuple(self._output(var) for var in operation.outputs)
        if operation.op_type == "const":
            self._keep(outputs[0], _constant(operation.outputs[0].val))
            return
        inputs = {name: self._slots_of(value) for name, value in operation.inputs.items()}
        node = Node(operation.op_type, inputs, outputs)
        if not operation.op_type.startswith("constexpr_"):
            yield node
            return
        for output, value in zip(outputs, evaluate(node, self._constants), strict=True):
            self._keep(output, value)
            if grid := compression.grid_of(node, self._constants, value):
                self._grids[output.slot] = grid
        self._folded |= node.slots()

    def _keep(self, output: Output, value: Value) -> None:
        self._constants[output.slot] = value
        # coremltools adds constants for parameters left out; they are not in the file.
        written = output.name in self._names
        if (
            written
            and isinstance(value, Tensor)
            and value.is_floating_point()
            and value.numel() > 1
        ):
            self._weights[output.name] = output.slot

    def _slots_of(self, value: Any) -> int | tuple[int, ...]:
        if isinstance(value, (list, tuple)):
            return tuple(self._slots[var] for var in value)
        return self._slots[value]

    def _output(self, var: Any) -> Output:
        slot = self._slots.setdefault(var, len(self._slots))
        return Output(slot, var.name, _type_of(var))


def _type_of(var: Any) -> TensorType:
    from coremltools.converters.mil.mil.types import builtin_to_string

    dtype = builtin_to_string(var.dtype)
    if not all(isinstance(size, (int, np.integer)) for size in var.shape):
        raise VerificationError(
            f"The shape of {var.name!r} is not fixed", why="Only fixed shapes can be verified"
        )
    return TensorType(tuple(int(size) for size in var.shape), dtype)


def _constant(value: Any) -> Value:
    if isinstance(value, str):
        return value
    array = np.require(value, requirements=["C", "W"])
    if array.dtype in (np.uint16, np.uint32):
        array = array.astype(np.int64)
    return torch.from_numpy(array)
