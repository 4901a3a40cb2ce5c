"""Reductions over axes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from lightmobile.export.verification.mil.registry import Call, operator

Reduction = Callable[[Tensor, list[int], bool], Tensor]


def _log_sum(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    return x.sum(axes, keep).log()


def _square_sum(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    return x.square().sum(axes, keep)


def _l1(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    return x.abs().sum(axes, keep)


def _l2(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    return x.square().sum(axes, keep).sqrt()


_REAL: dict[str, Reduction] = {
    "reduce_l2_norm": _l2,
    "reduce_log_sum": _log_sum,
    "reduce_log_sum_exp": torch.logsumexp,
    "reduce_mean": torch.mean,
}
_NUMBER: dict[str, Reduction] = {
    "reduce_l1_norm": _l1,
    "reduce_max": torch.amax,
    "reduce_min": torch.amin,
    "reduce_sum": torch.sum,
    "reduce_sum_square": _square_sum,
}


def _reduce(reduction: Reduction, real: bool, call: Call) -> Tensor:
    x = call.real("x") if real else call.number("x")
    axes = call.integers("axes") if call.has("axes") else list(range(x.ndim))
    return reduction(x, axes, call.flag("keep_dims"))


for _name, _reduction in _REAL.items():
    operator(_name)(partial(_reduce, _reduction, True))
for _name, _reduction in _NUMBER.items():
    operator(_name)(partial(_reduce, _reduction, False))


@operator("reduce_argmax", "reduce_argmin")
def reduce_arg(call: Call) -> Tensor:
    """Find the extreme element along an axis, the first of equals."""
    if call.has("output_dtype"):
        call.text("output_dtype")  # says again what the output declares
    find = torch.argmax if call.node.type == "reduce_argmax" else torch.argmin
    return find(call.number("x"), call.integer("axis"), call.flag("keep_dims"))
