"""Folding what stands beside a layer, as long as it is linear, into its weights."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import reduce
from typing import TypeVar

import torch
from torch import nn
from torch.nn import functional as F

from lightmobile.models.layers.exact import exact_product

__all__ = ["fold_norm", "fold_norm_before", "fold_scale", "merge_parallel", "merge_pointwise"]

Conv = TypeVar("Conv", bound=nn.Conv2d)


@torch.no_grad()
def fold_norm(conv: Conv, norm: nn.Module) -> Conv:
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
    mean, scale, shift = _affine(norm)
    before = 0 if conv.bias is None else conv.bias.double()
    return _with(conv, _scaled(conv, scale), (before - mean) * scale + shift)


@torch.no_grad()
def fold_norm_before(norm: nn.Module, linear: nn.Linear) -> nn.Linear:
    """Return one linear layer that equals `norm` in evaluation mode followed by `linear`.

    W' = W g / s and b' = b + W (beta - mean g / s), with s = sqrt(var + eps). Every machine makes
    the same bytes.

    Raises
    ------
    TypeError
        `norm` is neither a batch normalisation with statistics nor an identity.
    """
    folded = copy.deepcopy(linear)
    if isinstance(norm, nn.Identity):
        return folded
    mean, scale, shift = _affine(norm)
    weight = linear.weight.double()
    offset = _product_of(linear)(weight, (shift - mean * scale)[:, None])[:, 0]
    folded.weight = nn.Parameter((weight * scale).to(linear.weight.dtype))
    folded.bias = nn.Parameter((linear.bias.double() + offset).to(linear.weight.dtype))
    return folded


@torch.no_grad()
def fold_scale(conv: Conv, scale: torch.Tensor | None) -> Conv:
    """Return one convolution that equals `conv` followed by a factor for each channel, if any."""
    if scale is None:
        return copy.deepcopy(conv)
    scale = scale.double()
    bias = None if conv.bias is None else conv.bias.double() * scale
    return _with(conv, _scaled(conv, scale), bias)


@torch.no_grad()
def merge_pointwise(first: nn.Conv2d, second: nn.Conv2d) -> nn.Conv2d:
    """Return one convolution that equals `first` followed by `second`, which is 1x1.

    W[o, c] = sum_i W2[o, i] W1[i, c] and b = b2 + W2 b1, with the kernel, stride and padding of
    `first`; neither has groups. Every machine makes the same bytes.
    """
    inner, outer = first.weight.double().flatten(1), second.weight.double().flatten(1)
    inner = torch.cat((inner, _bias(first)[:, None]), 1)
    merged = _product_of(first)(outer, inner)
    weight = merged[:, :-1].reshape(-1, *first.weight.shape[1:])
    conv = _with(first, weight, merged[:, -1] + _bias(second))
    conv.out_channels = second.out_channels
    return conv


@torch.no_grad()
def merge_parallel(convs: Sequence[nn.Conv2d]) -> nn.Conv2d:
    """Return one convolution that equals the sum of `convs`, which have the same shapes and groups.

    Kernels may differ, if their sides are odd and their centres see the same pixel; the first one's
    is the largest, and holds the others around its centre.
    """
    height, width = convs[0].weight.shape[2:]

    def kernel(conv: nn.Conv2d) -> torch.Tensor:
        rows, columns = (height - conv.weight.shape[2]) // 2, (width - conv.weight.shape[3]) // 2
        return F.pad(conv.weight.double(), (columns, columns, rows, rows))

    return _with(
        convs[0], reduce(torch.add, map(kernel, convs)), reduce(torch.add, map(_bias, convs))
    )


def _affine(norm: nn.Module) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return mean, scale and shift of a norm, ``(x - mean) * scale + shift``, in float64."""
    if not isinstance(norm, nn.BatchNorm2d) or norm.running_mean is None:
        raise TypeError(f"{norm} cannot be folded")
    mean, variance = norm.running_mean.double(), norm.get_buffer("running_var").double()
    scale = norm.weight.double() / torch.sqrt(variance + norm.eps)
    return mean, scale, norm.bias.double()


def _product_of(layer: nn.Conv2d | nn.Linear) -> Callable[..., torch.Tensor]:
    """Return the matrix product for weights that `layer` stores."""
    # Only where the result is rounded to fewer digits can two machines come to the same.
    return torch.matmul if layer.weight.dtype == torch.double else exact_product


def _bias(conv: nn.Conv2d) -> torch.Tensor:
    if conv.bias is None:
        return conv.weight.new_zeros(conv.out_channels, dtype=torch.double)
    return conv.bias.double()


def _scaled(conv: nn.Conv2d, scale: torch.Tensor) -> torch.Tensor:
    return conv.weight.double() * scale[:, None, None, None]


def _with(conv: Conv, weight: torch.Tensor, bias: torch.Tensor | None) -> Conv:
    """Return `conv` with other weights, in its own precision."""
    weights: dict[int, object] = {id(conv.weight): nn.Parameter(weight.to(conv.weight.dtype))}
    if conv.bias is not None:
        weights[id(conv.bias)] = None
    folded = copy.deepcopy(conv, weights)
    folded.bias = None if bias is None else nn.Parameter(bias.to(conv.weight.dtype))
    return folded
