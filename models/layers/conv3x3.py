"""The 3x3 convolution of a network, or what stands for it, with norm and activation."""

from __future__ import annotations

from typing import Literal, Protocol

from torch import nn

from lightmobile.models.layers.conv_norm import ConvNorm
from lightmobile.models.layers.hetconv import Arrangement, HetConv, HetConvForm, HetConvNorm

__all__ = ["MakeConv", "Operator", "Part", "conv_maker", "depthwise_separable", "standard"]

Operator = Literal["het", "gwc_pwc"]
Part = int | Literal["pc"]


class MakeConv(Protocol):
    """Makes one such convolution."""

    def __call__(
        self, channels: int, width: int, stride: int = 1, act: type[nn.Module] | None = nn.ReLU
    ) -> nn.Module:
        """Return a module from [N, channels, H, W] to `width` channels, its sides over `stride`."""
        ...


def standard(
    channels: int, width: int, stride: int = 1, act: type[nn.Module] | None = nn.ReLU
) -> nn.Module:
    """Return a standard convolution."""
    return ConvNorm(channels, width, 3, stride=stride, act=act)


def depthwise_separable(
    channels: int, width: int, stride: int = 1, act: type[nn.Module] | None = nn.ReLU
) -> nn.Module:
    """Return a depthwise and a pointwise convolution (Howard et al., arXiv:1704.04861)."""
    return _separable(channels, width, channels, stride, act)


def conv_maker(
    p: Part,
    operator: Operator = "het",
    arrangement: Arrangement = "grouped",
    form: HetConvForm = "grouped",
) -> MakeConv:
    """Return what makes HetConvs, or their rivals.

    Parameters
    ----------
    p
        The part or the number of groups; ``pc`` means the number of input channels, which makes
        a group-wise convolution depthwise.
    operator
        ``het``: HetConv; a standard convolution where `p` is 1. ``gwc_pwc``: a group-wise
        convolution of `p` groups, then a pointwise one; each has norm and activation (ours, as in
        MobileNet).
    arrangement, form
        Of a HetConv.
    """
    if operator not in ("het", "gwc_pwc"):
        raise ValueError(f"operator is het or gwc_pwc, not {operator!r}")

    def make(
        channels: int, width: int, stride: int = 1, act: type[nn.Module] | None = nn.ReLU
    ) -> nn.Module:
        part = channels if p == "pc" else p
        if operator == "gwc_pwc":
            return _separable(channels, width, part, stride, act)
        if part == 1:
            return standard(channels, width, stride, act)
        conv = HetConv(channels, width, part, stride=stride, arrangement=arrangement, form=form)
        return HetConvNorm(conv, act)

    return make


def _separable(
    channels: int, width: int, groups: int, stride: int, act: type[nn.Module] | None
) -> nn.Module:
    return nn.Sequential(
        ConvNorm(channels, channels, 3, stride=stride, groups=groups, act=act or nn.ReLU),
        ConvNorm(channels, width, act=act),
    )
