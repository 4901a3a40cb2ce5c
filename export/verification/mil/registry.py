"""The operators that can be evaluated, and how one of them sees its inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from lightmobile.errors import VerificationError
from lightmobile.export.verification.mil.types import TensorType

__all__ = ["Call", "Node", "Operator", "Value", "evaluate", "known", "operator"]

Value = Tensor | str


@dataclass(frozen=True, slots=True)
class Output:
    """What an operator defines: its slot among the values, its name and its declared type."""

    slot: int
    name: str
    type: TensorType


@dataclass(frozen=True, slots=True)
class Node:
    """One operator of a program; its inputs are slots, or tuples of slots, by parameter name."""

    type: str
    inputs: Mapping[str, int | tuple[int, ...]]
    outputs: tuple[Output, ...]

    def __str__(self) -> str:
        return f"operator {self.type!r} of {', '.join(repr(o.name) for o in self.outputs)}"

    def slots(self) -> set[int]:
        """Return the slots of all its inputs."""
        return {
            slot
            for value in self.inputs.values()
            for slot in (value if isinstance(value, tuple) else (value,))
        }


@dataclass(slots=True)
class Call:
    """One execution of an operator: typed access to its inputs by parameter name.

    It remembers which inputs were read: one that nobody reads is a parameter that the
    implementation does not understand, and the result would be a guess.
    """

    node: Node
    values: Mapping[int, Value]
    read: set[str] = field(default_factory=set)

    def has(self, name: str) -> bool:
        """Whether the operator was given parameter `name`."""
        self.read.add(name)
        return name in self.node.inputs

    def _value(self, name: str) -> Value:
        self.read.add(name)
        slot = self.node.inputs[name]
        # A tuple of one tensor may be written without its parentheses, and the other way round.
        return self.values[slot[0] if isinstance(slot, tuple) else slot]

    def tensor(self, name: str) -> Tensor:
        """Return a tensor as it is stored."""
        value = self._value(name)
        if isinstance(value, str):
            raise self.unknown(name, value)
        return value

    def tensors(self, name: str) -> list[Tensor]:
        """Return a tuple of tensors as they are stored."""
        self.read.add(name)
        slots = self.node.inputs[name]
        values = [self.values[s] for s in (slots if isinstance(slots, tuple) else (slots,))]
        return [value for value in values if isinstance(value, Tensor)]

    def number(self, name: str) -> Tensor:
        """Return a tensor to compute with: fp16 widened to fp32, integers as they are."""
        value = self.tensor(name)
        return value.float() if value.is_floating_point() else value

    def real(self, name: str) -> Tensor:
        """Return a floating-point tensor as fp32."""
        value = self.tensor(name)
        if not value.is_floating_point():
            raise self.unknown(name, f"a tensor of {value.dtype}")
        return value.float()

    def optional_real(self, name: str) -> Tensor | None:
        """Return a floating-point tensor as fp32, or None if it was not given."""
        return self.real(name) if self.has(name) else None

    def integers(self, name: str) -> list[int]:
        """Return a vector of integers."""
        return [int(item) for item in self.tensor(name).reshape(-1).tolist()]

    def integer(self, name: str) -> int:
        """Return a scalar integer."""
        return int(self.tensor(name).item())

    def flags(self, name: str) -> list[bool]:
        """Return a vector of booleans."""
        return [bool(item) for item in self.tensor(name).reshape(-1).tolist()]

    def flag(self, name: str) -> bool:
        """Return a scalar boolean, False if it was not given."""
        return self.has(name) and bool(self.tensor(name).item())

    def text(self, name: str) -> str:
        """Return a string."""
        value = self._value(name)
        if not isinstance(value, str):
            raise self.unknown(name, f"a tensor of {value.dtype}")
        return value

    def unknown(self, name: str, value: Any) -> VerificationError:
        """Return the error of an input whose value the implementation does not know."""
        return VerificationError(
            f"Cannot evaluate {self.node}",
            why=f"Its {name!r} is {value!r}, which this evaluator does not know",
        )


Operator = Callable[[Call], Tensor | Sequence[Tensor]]
_OPERATORS: dict[str, Operator] = {}


def operator(*names: str) -> Callable[[Operator], Operator]:
    """Register the decorated function as the implementation of MIL operators `names`."""

    def register(function: Operator) -> Operator:
        for name in names:
            _OPERATORS[name] = function
        return function

    return register


def known() -> frozenset[str]:
    """Return the names of the operators that can be evaluated."""
    return frozenset(_OPERATORS)


def evaluate(node: Node, values: Mapping[int, Value]) -> list[Tensor]:
    """Execute `node` and return its outputs, rounded to the types that the program declares.

    Raises
    ------
    VerificationError
        An input is not understood, or the result is not of the declared shape and kind.
    """
    call = Call(node, values)
    try:
        result = _OPERATORS[node.type](call)
    except VerificationError:
        raise
    except Exception as error:  # a hostile program can make torch raise anything
        raise VerificationError(f"Cannot evaluate {node}", why=str(error)) from error
    for name in node.inputs.keys() - call.read:
        raise VerificationError(
            f"Cannot evaluate {node}", why=f"Its input {name!r} is not understood"
        )
    results = [result] if isinstance(result, Tensor) else list(result)
    if len(results) != len(node.outputs):
        raise VerificationError(f"Cannot evaluate {node}", why=f"It gives {len(results)} outputs")
    return [_declared(r, o, node) for r, o in zip(results, node.outputs, strict=True)]


def _declared(result: Tensor, output: Output, node: Node) -> Tensor:
    wanted = output.type
    same_kind = result.is_floating_point() == wanted.storage.is_floating_point
    if tuple(result.shape) != wanted.shape or not same_kind:
        raise VerificationError(
            f"The {node} gives {result.dtype} of shape {tuple(result.shape)}",
            why=f"The program declares {output.name!r} as {wanted}",
        )
    return result.to(wanted.storage)
