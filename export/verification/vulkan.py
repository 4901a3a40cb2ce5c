"""The graph that an ExecuTorch program leaves to its Vulkan delegate, computed in PyTorch.

Written after ``backends/vulkan/serialization/schema.fbs`` of ExecuTorch 1.5.1; the numbers below
are slots of its tables. What it says of prepacking, textures and layouts is where numbers lie, and
changes none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lightmobile.errors import VerificationError
from lightmobile.export.verification.flatbuffer import shaped
from lightmobile.export.verification.vulkan_operators import compute, known
from lightmobile.export.verification.vulkan_payload import data_at, open_graph

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lightmobile.export.verification.flatbuffer import Table

__all__ = ["VulkanGraph"]

_TYPES = {3: torch.int32, 4: torch.float16, 5: torch.float32}  # VkDataType
_DTYPES = {torch.int32: "<i4", torch.float16: "<f2", torch.float32: "<f4"}


@dataclass(frozen=True)
class _Declared:
    """A tensor of the graph.

    Attributes
    ----------
    constant
        Its place among the constants; negative where it is computed.
    memory
        Of the tensors with the same number, each lies where the one before it lay; negative: alone.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype
    constant: int
    memory: int


@dataclass(frozen=True)
class _Several:
    """A list of values, by their places."""

    places: tuple[int, ...]


@dataclass(frozen=True)
class _Call:
    operator: str
    arguments: tuple[int, ...]
    output: int

    def __str__(self) -> str:
        return f"operator {self.operator!r} of value {self.output}"


class VulkanGraph:
    """A delegate's graph, ready to run.

    Each operator is computed in fp32 and its result rounded to the type that the graph keeps it
    in. A device that also adds up in fp16 loses more.

    Parameters
    ----------
    payload
        What the exporter left for the delegate.
    named
        What the program keeps beside it, by key: the constants.

    Attributes
    ----------
    input_shapes, output_shapes
        In the delegate's order.

    Raises
    ------
    VerificationError
        It has operators that are not known here; the message names them.
    ValueError
        It is damaged.
    """

    def __init__(self, payload: memoryview, named: Mapping[str, memoryview]) -> None:
        graph = open_graph(payload)
        self._values = [_value(value) for value in graph.tables(2)]
        places = graph.tables(5)
        self._constants = {
            place: _constant(value, places[value.constant], named)
            for place, value in enumerate(self._values)
            if isinstance(value, _Declared) and value.constant >= 0
        }
        self._calls = [_call(call) for call in graph.tables(1)]
        self._inputs, self._outputs = graph.numbers(3, "<u4"), graph.numbers(4, "<u4")
        self.input_shapes = [self._declared(place).shape for place in self._inputs]
        self.output_shapes = [self._declared(place).shape for place in self._outputs]
        unknown = sorted({call.operator for call in self._calls} - known())
        if unknown:
            raise VerificationError(
                "The Vulkan graph has operators that are not known here: "
                + ", ".join(repr(name[:80]) for name in unknown),
                why="What they compute would go unverified",
            )

    def constants(self) -> dict[str, NDArray[Any]]:
        """Return the floating-point constants, by names that tell where they are."""
        return {
            f"value {place}": constant.numpy()
            for place, constant in self._constants.items()
            if constant.is_floating_point()
        }

    @torch.inference_mode()
    def run(self, inputs: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        """Return the outputs for `inputs`, of `input_shapes`.

        Raises
        ------
        VerificationError
            An operator cannot be computed, or its result is not what the graph declares.
        """
        state = _State(self._values, dict(self._constants))
        for place, array in zip(self._inputs, inputs, strict=True):
            state.write(place, torch.from_numpy(array))
        for call in self._calls:
            try:
                results = compute(call.operator, [state.read(p) for p in call.arguments])
                state.write(call.output, results)
            except Exception as error:  # a hostile graph can make torch raise anything
                raise VerificationError(f"Cannot compute the {call}", why=str(error)) from error
        return [state.read(place).numpy() for place in self._outputs]

    def _declared(self, place: int) -> _Declared:
        value = self._values[place]
        if not isinstance(value, _Declared):
            raise ValueError(f"value {place} of its Vulkan graph is no tensor")
        return value


class _State:
    """The values while a graph runs."""

    def __init__(self, values: Sequence[Any], tensors: dict[int, Tensor]) -> None:
        self._values = values
        self._tensors = tensors
        self._holders: dict[int, int] = {}

    def read(self, place: int) -> Any:
        """Return a value as an argument: floating-point tensors in fp32, lists of tensors whole."""
        value = self._values[place]
        if isinstance(value, _Several):
            return [self._tensor(part) for part in value.places]
        return self._tensor(place) if isinstance(value, _Declared) else value

    def write(self, place: int, result: Any) -> None:
        """Keep a tensor, or the tensors of a list, as declared."""
        value = self._values[place]
        if isinstance(value, _Several):
            for part, item in zip(value.places, result, strict=True):
                self._keep(part, item)
        else:
            self._keep(place, result)

    def _tensor(self, place: int) -> Tensor:
        memory = self._values[place].memory
        if memory >= 0 and self._holders.get(memory) != place:
            raise ValueError(f"value {place} is read where it was written over")
        tensor = self._tensors[place]
        return tensor.float() if tensor.is_floating_point() else tensor

    def _keep(self, place: int, result: Tensor) -> None:
        declared = self._values[place]
        same_kind = result.is_floating_point() == declared.dtype.is_floating_point
        if tuple(result.shape) != declared.shape or not same_kind:
            raise ValueError(
                f"It gives {result.dtype} of shape {tuple(result.shape)}, "
                f"where {declared.dtype} of shape {declared.shape} is declared"
            )
        self._holders[declared.memory] = place
        self._tensors[place] = result.to(declared.dtype)


def _call(call: Table) -> _Call:
    arguments = call.numbers(2, "<u4")
    if not arguments:
        raise ValueError("an operator of its Vulkan graph has no output")
    return _Call(call.text(1), tuple(arguments[:-1]), arguments[-1])


def _value(value: Table) -> Any:
    kind, content = value.integer(0, "B"), value.table(1)
    if content is None or kind not in _READERS:
        raise ValueError(f"its Vulkan graph has a value of kind {kind}, which cannot be read")
    return _READERS[kind](content)


def _tensor(tensor: Table) -> _Declared:
    kind = tensor.integer(0, "b")
    if kind not in _TYPES:
        raise ValueError(f"its Vulkan graph has a tensor of type {kind}, which cannot be read")
    return _Declared(
        shape=tuple(tensor.numbers(1, "<u4")),
        dtype=_TYPES[kind],
        constant=tensor.integer(2, "i"),
        memory=tensor.integer(3, "i"),
    )


_READERS: dict[int, Any] = {  # GraphTypes
    1: lambda _: None,
    2: lambda number: number.integer(0, "q"),
    3: lambda number: number.real(0),
    4: lambda flag: bool(flag.integer(0, "B")),
    5: _tensor,
    6: lambda numbers: numbers.numbers(0, "<i8"),
    7: lambda numbers: numbers.numbers(0, "<f8"),
    8: lambda flags: [bool(flag) for flag in flags.numbers(0, "u1")],
    9: lambda several: _Several(tuple(several.numbers(0, "<u4"))),
    10: lambda text: text.text(0),
}


def _constant(value: _Declared, place: Table, named: Mapping[str, memoryview]) -> Tensor:
    data = data_at(place, named)
    return torch.from_numpy(shaped(data, _DTYPES[value.dtype], value.shape).copy())
