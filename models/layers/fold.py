"""Folding what follows a convolution, as long as it is linear, into its weights."""

from __future__ import annotations

import copy

import torch
from torch import nn

__all__ = ["fold_norm", "fold_scale"]


@torch.no_grad()
def fold_norm(conv: nn.Conv2d, norm: nn.Module) -> nn.Conv2d:
    """Return one convolution that equals `conv` followed by `norm` in evaluation mode.

    W' = W g / s and b' = (b - mean) g / s + beta, with s = sqrt(var + eps). Computed in float64,
    by operations that IEEE 754 rounds exactly, so that every machine makes the same bytes.

    Raises
    ------
    TypeError
        `norm` is neither a batch normalisation with statistics nor an identity.
    """
    if isinstance(norm, nn.Identity):
        return copy.deepcopy(conv)
    if not isinstance(norm, nn.BatchNorm2d) or norm.running_mean is None:
        raise TypeError(f"{norm} cannot be folded into a convolution")
    mean, variance = norm.running_mean.double(), norm.get_buffer("running_var").double()
    scale = norm.weight.double() / torch.sqrt(variance + norm.eps)
    before = 0 if conv.bias is None else conv.bias.double()
    return _with(conv, _scaled(conv, scale), (before - mean) * scale + norm.bias.double())


@torch.no_grad()
def fold_scale(conv: nn.Conv2d, scale: torch.Tensor | None) -> nn.Conv2d:
    """Return one convolution that equals `conv` followed by a factor for each channel, if any."""
    if scale is None:
        return copy.deepcopy(conv)
    scale = scale.double()
    bias = None if conv.bias is None else conv.bias.double() * scale
    return _with(conv, _scaled(conv, scale), bias)


def _scaled(conv: nn.Conv2d, scale: torch.Tensor) -> torch.Tensor:
    return conv.weight.double() * scale[:, None, None, None]


def _with(conv: nn.Conv2d, weight: torch.Tensor, bias: torch.Tensor | None) -> nn.Conv2d:
    """Return `conv` with other weights, in its own precision."""
    weights: dict[int, object] = {id(conv.weight): nn.Parameter(weight.to(conv.weight.dtype))}
    if conv.bias is not None:
        weights[id(conv.bias)] = None
    folded = copy.deepcopy(conv, weights)
    folded.bias = None if bias is None else nn.Parameter(bias.to(conv.weight.dtype))
    return folded
