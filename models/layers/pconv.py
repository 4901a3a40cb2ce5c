"""Partial convolution (Chen et al., CVPR 2023, arXiv:2303.03667)."""

from __future__ import annotations

import copy
from typing import Literal, get_args

import torch
from torch import nn

from lightmobile.models.layers.fold import fold_norm, merge_pointwise
from lightmobile.models.layers.form import with_form

__all__ = ["PConv", "PConvForm", "TShapedConv"]

PConvForm = Literal["slicing", "split_cat"]


class PConv(nn.Module):
    """A 3x3 convolution of the first ``channels // n_div`` channels; the rest passes through.

    Parameters
    ----------
    channels
        Of the input and of the output, [N, C, H, W].
    n_div
        One channel in `n_div` is convolved.
    form
        ``slicing`` and ``split_cat`` compute the same bits. ``torch.split`` has several outputs,
        which cuts XNNPACK's graph at every block; two slices leave it whole.
    norm
        Normalise the channels that are convolved. FasterNet does not.
    """

    def __init__(
        self, channels: int, n_div: int = 4, form: PConvForm = "slicing", *, norm: bool = False
    ) -> None:
        super().__init__()
        if form not in get_args(PConvForm):
            raise ValueError(f"pconv is one of {', '.join(get_args(PConvForm))}, not {form!r}")
        if not 1 <= n_div <= channels:
            raise ValueError(f"n_div is between 1 and {channels} channels, not {n_div}")
        self.channels = channels
        self.touched = channels // n_div
        self.form = form
        with_form(self, "pconv", form)
        self.partial_conv3 = nn.Conv2d(self.touched, self.touched, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(self.touched) if norm else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Mix space within the first channels of `x`, [N, C, H, W]; the shape stays."""
        if self.form == "slicing":
            first, rest = x[:, : self.touched], x[:, self.touched :]
        else:
            first, rest = torch.split(x, [self.touched, self.channels - self.touched], dim=1)
        return torch.cat((self.norm(self.partial_conv3(first)), rest), dim=1)

    def fused(self) -> PConv:
        """Return the same with the norm, if any, folded into the weights and a bias."""
        fused = copy.deepcopy(self)
        fused.partial_conv3 = fold_norm(self.partial_conv3, self.norm)
        fused.norm = nn.Identity()
        return fused


class TShapedConv(nn.Module):
    """A PConv and the 1x1 convolution after it, as the one convolution that they are.

    A kernel is 3x3 on the first channels and 1x1 on the rest: the paper's "T-shaped" convolution.
    For C -> 2C channels, a quarter of them convolved, it takes 6 C^2 MACs a pixel, where the two
    take 2.56 C^2 and a dense 3x3 takes 18 C^2; but nothing is written in between.

    Parameters
    ----------
    pconv
        Without a norm; it leaves some channels alone.
    pointwise
        1x1, without groups.
    """

    def __init__(self, pconv: PConv, pointwise: nn.Conv2d) -> None:
        super().__init__()
        self.touched = pconv.touched
        self.conv3 = merge_pointwise(pconv.partial_conv3, _sliced(pointwise, slice(self.touched)))
        self.conv1 = _sliced(pointwise, slice(self.touched, None))
        self.conv1.bias = None  # A sum needs its bias once.
        with_form(self, "pconv", "t_shaped")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return [N, K, H, W] of `x`, [N, C, H, W]."""
        return self.conv3(x[:, : self.touched]) + self.conv1(x[:, self.touched :])


def _sliced(pointwise: nn.Conv2d, channels: slice) -> nn.Conv2d:
    """Return a copy of the 1x1 convolution that sees some of its input channels."""
    weight = pointwise.weight.detach()[:, channels].clone()
    conv = nn.Conv2d(weight.shape[1], pointwise.out_channels, 1, bias=False, device="meta")
    conv.weight = nn.Parameter(weight)
    conv.bias = copy.deepcopy(pointwise.bias)
    return conv
