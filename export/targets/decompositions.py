"""Operators that a delegate takes, or computes as they are meant, only as what they are made of.

XNNPACK's partitioner knows no layer norm, and PyTorch's own decomposition of a matrix product of
more than two axes broadcasts first, which is left to the runtime even where there is nothing to
broadcast. Each of either would cut the graph.

So would a mean that drops the axes it is taken over, for Vulkan. And Vulkan's delegate takes every
GELU, but computes its tanh approximation: FasterNet-T0's outputs are then 5e-4 off, as much as by
fp16, and far more than by fp32.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

__all__ = ["decomposed", "decomposed_for_vulkan", "has_exact_gelu"]

_GELU = torch.ops.aten.gelu.default
_MEAN = torch.ops.aten.mean.dim


def decomposed(program: torch.export.ExportedProgram) -> torch.export.ExportedProgram:
    """Return `program` without layer norms, and with plain batches of matrix products."""
    if not any(node.target in _DECOMPOSITIONS for node in program.graph.nodes):
        return program
    result: torch.export.ExportedProgram = program.run_decompositions(_DECOMPOSITIONS)
    return result


def has_exact_gelu(program: torch.export.ExportedProgram) -> bool:
    """Tell whether `program` has a GELU that is no approximation."""
    return any(
        node.target is _GELU and node.kwargs.get("approximate", "none") == "none"
        for node in program.graph.nodes
    )


def decomposed_for_vulkan(
    program: torch.export.ExportedProgram, *, half: bool
) -> torch.export.ExportedProgram:
    """Return `program` with means that keep their axes and, unless `half`, with exact GELUs."""
    parts: dict[Any, Any] = {_MEAN: _mean} if half else {_MEAN: _mean, _GELU: _gelu}
    if not any(node.target in parts for node in program.graph.nodes):
        return program
    result: torch.export.ExportedProgram = program.run_decompositions(parts)
    return result


def _layer_norm(
    x: torch.Tensor,
    normalized_shape: Sequence[int],
    weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enable: bool = True,  # noqa: ARG001 - part of the operator's signature
) -> torch.Tensor:
    # XNNPACK's mean is that of images, over height and width: a row becomes an image of one column.
    rows = x.reshape(-1, 1, math.prod(normalized_shape), 1)
    centred = rows - rows.mean((2, 3), keepdim=True)
    variance = (centred * centred).mean((2, 3), keepdim=True)
    y = (centred * torch.rsqrt(variance + eps)).reshape(x.shape)
    if weight is not None:
        y = y * weight
    return y if bias is None else y + bias


def _matmul(a: torch.Tensor, b: torch.Tensor) -> Any:
    if a.ndim < 3 or a.shape[:-2] != b.shape[:-2]:
        return NotImplemented
    product = torch.bmm(a.flatten(0, -3), b.flatten(0, -3))
    return product.reshape(*a.shape[:-1], b.shape[-1])


def _mean(
    x: torch.Tensor,
    dim: Sequence[int] | None,
    keepdim: bool = False,
    *,
    dtype: torch.dtype | None = None,
) -> Any:
    if keepdim or not dim:
        return NotImplemented
    return x.mean(tuple(dim), keepdim=True, dtype=dtype).squeeze(tuple(dim))


def _gelu(x: torch.Tensor, approximate: str = "none") -> Any:
    # The error function by Abramowitz and Stegun's rational of exp (7.1.26), within 1.5e-7.
    if approximate != "none":
        return NotImplemented
    magnitude = x.abs()
    inverse = 1.0 + 0.3275911 / math.sqrt(2) * magnitude
    t = torch.rsqrt(inverse * inverse)  # it has no reciprocal
    tail = 1.061405429 * t - 1.453152027
    for coefficient in (1.421413741, -0.284496736, 0.254829592):
        tail = tail * t + coefficient
    return torch.relu(x) - 0.5 * magnitude * (tail * t * torch.exp(-0.5 * x * x))


_DECOMPOSITIONS: dict[Any, Any] = {
    torch.ops.aten.layer_norm.default: _layer_norm,
    torch.ops.aten.matmul.default: _matmul,
}
