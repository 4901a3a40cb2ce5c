"""Operators that XNNPACK's partitioner takes only as what they are made of.

It knows no layer norm, and PyTorch's own decomposition of a matrix product of more than two axes
broadcasts first, which is left to the runtime even where there is nothing to broadcast. Each of
either would cut the graph.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

__all__ = ["decomposed"]


def decomposed(program: torch.export.ExportedProgram) -> torch.export.ExportedProgram:
    """Return `program` without layer norms, and with plain batches of matrix products."""
    if not any(node.target in _DECOMPOSITIONS for node in program.graph.nodes):
        return program
    result: torch.export.ExportedProgram = program.run_decompositions(_DECOMPOSITIONS)
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


_DECOMPOSITIONS: dict[Any, Any] = {
    torch.ops.aten.layer_norm.default: _layer_norm,
    torch.ops.aten.matmul.default: _matmul,
}
