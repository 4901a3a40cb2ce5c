"""Arithmetic, comparison and logic, element by element, with NumPy's broadcasting."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from lightmobile.export.verification.mil.registry import Call, operator
from lightmobile.export.verification.mil.types import STORAGE

_REAL: dict[str, Callable[[Tensor], Tensor]] = {
    "acos": torch.acos,
    "asin": torch.asin,
    "atan": torch.atan,
    "atanh": torch.atanh,
    "ceil": torch.ceil,
    "cos": torch.cos,
    "cosh": torch.cosh,
    "erf": torch.erf,
    "exp": torch.exp,
    "exp2": torch.exp2,
    "floor": torch.floor,
    "round": torch.round,
    "sin": torch.sin,
    "sinh": torch.sinh,
    "sqrt": torch.sqrt,
    "tan": torch.tan,
    "tanh": torch.tanh,
}
_NUMBER: dict[str, Callable[[Tensor], Tensor]] = {
    "abs": torch.abs,
    "sign": torch.sign,
    "square": torch.square,
}
_BINARY_REAL: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "pow": torch.pow,
    "real_div": torch.true_divide,
}
_BINARY_NUMBER: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "add": torch.add,
    "equal": torch.eq,
    "floor_div": torch.floor_divide,
    "greater": torch.gt,
    "greater_equal": torch.ge,
    "less": torch.lt,
    "less_equal": torch.le,
    "logical_and": torch.logical_and,
    "logical_or": torch.logical_or,
    "logical_xor": torch.logical_xor,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "mod": torch.remainder,
    "mul": torch.mul,
    "not_equal": torch.ne,
    "sub": torch.sub,
}


def _real(function: Callable[[Tensor], Tensor], call: Call) -> Tensor:
    return function(call.real("x"))


def _number(function: Callable[[Tensor], Tensor], call: Call) -> Tensor:
    return function(call.number("x"))


def _binary_real(function: Callable[[Tensor, Tensor], Tensor], call: Call) -> Tensor:
    return function(call.real("x"), call.real("y"))


def _binary_number(function: Callable[[Tensor, Tensor], Tensor], call: Call) -> Tensor:
    return function(call.number("x"), call.number("y"))


for _name, _unary in _REAL.items():
    operator(_name)(partial(_real, _unary))
for _name, _unary in _NUMBER.items():
    operator(_name)(partial(_number, _unary))
for _name, _binary in _BINARY_REAL.items():
    operator(_name)(partial(_binary_real, _binary))
for _name, _binary in _BINARY_NUMBER.items():
    operator(_name)(partial(_binary_number, _binary))


@operator("inverse")
def inverse(call: Call) -> Tensor:
    """``1 / (x + epsilon)``."""
    return torch.reciprocal(call.real("x") + call.real("epsilon"))


@operator("log")
def log(call: Call) -> Tensor:
    """``log(x + epsilon)``."""
    return torch.log(call.real("x") + call.real("epsilon"))


@operator("rsqrt")
def rsqrt(call: Call) -> Tensor:
    """``1 / sqrt(x + epsilon)``."""
    return torch.rsqrt(call.real("x") + call.real("epsilon"))


@operator("clip")
def clip(call: Call) -> Tensor:
    """``min(max(x, alpha), beta)``."""
    return torch.clamp(call.real("x"), call.real("alpha"), call.real("beta"))


@operator("threshold")
def threshold(call: Call) -> Tensor:
    """``max(x, alpha)``."""
    return torch.maximum(call.number("x"), call.number("alpha"))


@operator("logical_not")
def logical_not(call: Call) -> Tensor:
    """``not x``."""
    return torch.logical_not(call.tensor("x"))


@operator("select")
def select(call: Call) -> Tensor:
    """Take ``a`` where `cond` holds, ``b`` elsewhere."""
    return torch.where(call.tensor("cond"), call.tensor("a"), call.tensor("b"))


@operator("cast")
def cast(call: Call) -> Tensor:
    """Convert to ``dtype``; a real number loses its fraction on the way to an integer."""
    dtype = call.text("dtype")
    if dtype not in STORAGE:
        raise call.unknown("dtype", dtype)
    return call.tensor("x").to(STORAGE[dtype].torch)


@operator("identity")
def identity(call: Call) -> Tensor:
    """Return the input itself."""
    return call.tensor("x")
