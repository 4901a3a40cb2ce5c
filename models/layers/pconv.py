"""Partial convolution (Chen et al., CVPR 2023, arXiv:2303.03667)."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import nn

__all__ = ["PConv", "PConvForm"]

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
    """

    def __init__(self, channels: int, n_div: int = 4, form: PConvForm = "slicing") -> None:
        super().__init__()
        if form not in get_args(PConvForm):
            raise ValueError(f"pconv is one of {', '.join(get_args(PConvForm))}, not {form!r}")
        if not 1 <= n_div <= channels:
            raise ValueError(f"n_div is between 1 and {channels} channels, not {n_div}")
        self.channels = channels
        self.touched = channels // n_div
        self.form = form
        self.partial_conv3 = nn.Conv2d(self.touched, self.touched, 3, padding=1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Mix space within the first channels of `x`, [N, C, H, W]; the shape stays."""
        if self.form == "slicing":
            first, rest = x[:, : self.touched], x[:, self.touched :]
        else:
            first, rest = torch.split(x, [self.touched, self.channels - self.touched], dim=1)
        return torch.cat((self.partial_conv3(first), rest), dim=1)
