"""Normalizations, all computed in fp32."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lightmobile.export.verification.mil.activations import per_channel
from lightmobile.export.verification.mil.registry import Call, operator


@operator("batch_norm")
def batch_norm(call: Call) -> Tensor:
    """``gamma * (x - mean) / sqrt(variance + epsilon) + beta``, a channel each."""
    return F.batch_norm(
        call.real("x"),
        call.real("mean"),
        call.real("variance"),
        call.optional_real("gamma"),
        call.optional_real("beta"),
        eps=call.real("epsilon").item(),
    )


@operator("instance_norm")
def instance_norm(call: Call) -> Tensor:
    """Normalize each channel of each image by its own mean and variance."""
    x = call.real("x")
    y = _standardized(x, list(range(2, x.ndim)), call)
    if call.has("gamma"):
        y = y * per_channel(call.real("gamma"), x)
    if call.has("beta"):
        y = y + per_channel(call.real("beta"), x)
    return y


@operator("layer_norm")
def layer_norm(call: Call) -> Tensor:
    """Normalize over some axes; gamma and beta have the sizes of these axes."""
    x = call.real("x")
    axes = [axis % x.ndim for axis in call.integers("axes")]
    y = _standardized(x, axes, call)
    shape = [size if axis in axes else 1 for axis, size in enumerate(x.shape)]
    if call.has("gamma"):
        y = y * call.real("gamma").reshape(shape)
    if call.has("beta"):
        y = y + call.real("beta").reshape(shape)
    return y


def _standardized(x: Tensor, axes: list[int], call: Call) -> Tensor:
    variance, mean = torch.var_mean(x, dim=axes, correction=0, keepdim=True)
    return (x - mean) * torch.rsqrt(variance + call.real("epsilon"))


@operator("l2_norm")
def l2_norm(call: Call) -> Tensor:
    """Divide by the root of the sum of squares over the last three axes."""
    x = call.real("x")
    return x * torch.rsqrt(x.square().sum(dim=(-3, -2, -1), keepdim=True) + call.real("epsilon"))
