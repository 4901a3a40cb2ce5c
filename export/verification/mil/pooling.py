"""Pools over windows, in one to three spatial dimensions."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from lightmobile.export.verification.mil.padding import (
    Padding,
    extend,
    is_symmetric,
    spatial_padding,
)
from lightmobile.export.verification.mil.registry import Call, operator

_MAXIMA = (F.max_pool1d, F.max_pool2d, F.max_pool3d)
_MEANS = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)


def _window(call: Call, x: Tensor) -> tuple[list[int], list[int], Padding, bool]:
    kernel, strides = call.integers("kernel_sizes"), call.integers("strides")
    padding = spatial_padding(call, x.shape[2:], kernel, strides)
    return kernel, strides, padding, call.flag("ceil_mode")


def _fits(kernel: list[int], padding: Padding) -> bool:
    """Whether torch's own pools take this padding."""
    return is_symmetric(padding) and all(
        before <= size // 2 for (before, _), size in zip(padding, kernel, strict=True)
    )


@operator("max_pool")
def max_pool(call: Call) -> Tensor:
    """Take the largest element of each window; padding never wins."""
    x = call.real("x")
    kernel, strides, padding, ceil = _window(call, x)
    within = [before for before, _ in padding]
    if not _fits(kernel, padding):
        x, within = extend(x, padding, -math.inf), [0] * len(kernel)
    return _MAXIMA[x.ndim - 3](x, kernel, strides, within, ceil_mode=ceil)


@operator("avg_pool")
def avg_pool(call: Call) -> Tensor:
    """Average each window; padding counts as zeros, or not at all if it is excluded."""
    x = call.real("x")
    kernel, strides, padding, ceil = _window(call, x)
    exclude = call.flag("exclude_padding_from_average")
    pool = _MEANS[x.ndim - 3]
    if _fits(kernel, padding):
        within = [before for before, _ in padding]
        return pool(x, kernel, strides, within, ceil, not exclude)
    mean = pool(extend(x, padding), kernel, strides, ceil_mode=ceil)
    if not exclude:
        return mean
    share = pool(extend(torch.ones_like(x), padding), kernel, strides, ceil_mode=ceil)
    return mean / share
