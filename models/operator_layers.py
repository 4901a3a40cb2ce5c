"""The layers that `lightmobile.models.operators` stacks: each keeps the shape of its input.

None has a bias or an activation of its own beside what its name says, so that what is timed is the
operator. A HetConv's norm is folded; it leaves a bias.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from lightmobile.models.layers.hetconv import HetConv, HetConvForm, HetConvNorm
from lightmobile.models.layers.pconv import PConv, TShapedConv
from lightmobile.models.layers.series_activation import series_activation
from lightmobile.models.layers.sf_conv import SFConv, sf_conv

__all__ = ["AddChain", "stack"]


def stack(kind: str, channels: int, layers: int, **options: Any) -> nn.Module:
    """Return `layers` layers of `kind`, [N, C, H, W] to [N, C, H, W].

    Raises
    ------
    TypeError, ValueError
        The options are not those of this kind, or do not fit the channels.
    """
    if kind == "add":
        return AddChain(layers, **options)
    return nn.Sequential(*(_LAYERS[kind](channels, **options) for _ in range(layers)))


class AddChain(nn.Module):
    """``y[i] = y[i - 1] + y[i - 2]``: reads two tensors, writes one, and computes next to nothing.

    What it moves in a second is the bandwidth of where three such tensors fit.
    """

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return a multiple of `x`."""
        before, last = x, x + x
        for _ in range(self.layers - 1):
            before, last = last, last + before
        return last


class PartialPointwise(nn.Module):
    """A PConv and the pointwise convolution after it; they fuse to the form that is asked for."""

    def __init__(self, channels: int, n_div: int = 4, form: str = "slicing") -> None:
        super().__init__()
        self.t_shaped = form == "t_shaped"
        self.pconv = _pconv(channels, n_div, "slicing" if self.t_shaped else form)
        self.pointwise = _conv(channels, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return [N, C, H, W] of the same shape."""
        return self.pointwise(self.pconv(x))

    def fused(self) -> nn.Module:
        """Return one T-shaped convolution, or the two."""
        if self.t_shaped:
            return TShapedConv(self.pconv, self.pointwise)
        return nn.Sequential(self.pconv.fused(), copy.deepcopy(self.pointwise))


def _conv(channels: int, width: int, kernel: int = 3, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels, width, kernel, padding=kernel // 2, groups=groups, bias=False)


def _dense(channels: int) -> nn.Module:
    return _conv(channels, channels)


def _grouped(channels: int, groups: int = 16) -> nn.Module:
    return _conv(channels, channels, groups=groups)


def _depthwise(channels: int) -> nn.Module:
    return _conv(channels, channels, groups=channels)


def _pointwise(channels: int) -> nn.Module:
    return _conv(channels, channels, 1)


def _pconv(channels: int, n_div: int = 4, form: str = "slicing") -> PConv:
    if form not in ("slicing", "split_cat"):
        raise ValueError(f"the form of a PConv is slicing or split_cat, not {form!r}")
    return PConv(channels, n_div, "slicing" if form == "slicing" else "split_cat")


def _depthwise_pointwise(channels: int, widen: int = 1) -> nn.Module:
    """Return DWConv and PWConv; where it is to be `widen` times as wide, between two PWConvs.

    That is how networks make up for what a depthwise convolution does not see: MobileNetV2's
    inverted residual block is six times as wide inside.
    """
    wide = channels * widen
    depthwise = _conv(wide, wide, groups=wide)
    if widen == 1:
        return nn.Sequential(depthwise, _conv(channels, channels, 1))
    return nn.Sequential(_conv(channels, wide, 1), depthwise, _conv(wide, channels, 1))


def _grouped_pointwise(channels: int, groups: int = 4) -> nn.Module:
    return nn.Sequential(_conv(channels, channels, groups=groups), _conv(channels, channels, 1))


def _hetconv(channels: int, p: int = 4, form: HetConvForm = "grouped") -> nn.Module:
    return HetConvNorm(HetConv(channels, channels, p, form=form))


def _series_activation(channels: int, n: int = 3) -> nn.Module:
    return series_activation(channels, n)


def _sf_conv(channels: int, reduction: int = 2) -> SFConv:
    return sf_conv(channels, channels, reduction)


_LAYERS: dict[str, Callable[..., nn.Module]] = {
    "conv": _dense,
    "gconv": _grouped,
    "dwconv": _depthwise,
    "pconv": _pconv,
    "pwconv": _pointwise,
    "pconv_pwconv": PartialPointwise,
    "dwconv_pwconv": _depthwise_pointwise,
    "gconv_pwconv": _grouped_pointwise,
    "hetconv": _hetconv,
    "sf_conv": _sf_conv,
    "series_activation": _series_activation,
}
