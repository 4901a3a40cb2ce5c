"""The reparameterized factorized channel operator of FalconNet (Cai & Shen, arXiv:2306.06365)."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import nn

from lightmobile.models.layers.conv_norm import ConvNorm
from lightmobile.models.layers.form import with_form
from lightmobile.models.layers.parallel import ParallelConvs
from lightmobile.models.layers.sf_conv import Factor, SFConv, sf_factors
from lightmobile.models.layers.shuffle import shuffle

__all__ = ["RefCO", "RefCOForm"]

RefCOForm = Literal["factors", "dense"]


class RefCO(nn.Module):
    """An SF convolution with parallel branches in both factors: one SF convolution, once fused.

    Each branch has a norm of its own, as in RepSO (ours: the digest of the paper that we could read
    is silent on norms here).

    Parameters
    ----------
    in_channels, out_channels
        M and N, of [B, M, H, W] and [B, N, H, W].
    branches
        How many the first and the second factor have. The default is ours: the digest gives the
        second as "K", perhaps the kernel, and has lost the first, perhaps M / K.
    reduction, kernel
        R and K; see `sf_factors`.
    form
        What it fuses to. ``factors``: an SF convolution. ``dense``: the exactly equal dense 1x1
        convolution, more arithmetic in one kernel call.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        branches: tuple[int, int] = (3, 3),
        reduction: int = 2,
        kernel: int | None = None,
        form: RefCOForm = "factors",
    ) -> None:
        super().__init__()
        if form not in get_args(RefCOForm):
            raise ValueError(f"form is one of {', '.join(get_args(RefCOForm))}, not {form!r}")
        first, second = sf_factors(in_channels, out_channels, reduction, kernel)
        self.first = _parallel(first, branches[0])
        self.second = _parallel(second, branches[1])
        self.groups = second.groups
        self.form = form

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return [B, N, H, W] of `x`, [B, M, H, W]."""
        return self.second(shuffle(self.first(x), 1, self.groups))

    def fused(self) -> nn.Module:
        """Return the one convolution, with biases, in its form."""
        sf = SFConv(self.first.fused(), self.second.fused())
        return with_form(sf if self.form == "factors" else sf.dense(), "ref_co", self.form)


def _parallel(factor: Factor, count: int) -> ParallelConvs:
    channels, width, groups = factor
    return ParallelConvs(ConvNorm(channels, width, groups=groups) for _ in range(count))
