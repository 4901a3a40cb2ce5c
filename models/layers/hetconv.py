"""Heterogeneous kernels in one convolution (Singh et al., CVPR 2019, arXiv:1903.04120)."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import nn
from torch.nn import functional as F

from lightmobile.models.layers.fold import fold_norm
from lightmobile.models.layers.form import with_form
from lightmobile.models.layers.shuffle import shuffle

__all__ = ["Arrangement", "HetConv", "HetConvForm", "HetConvNorm"]

Arrangement = Literal["grouped", "shifted"]
HetConvForm = Literal["grouped", "dense"]


class HetConv(nn.Module):
    """A convolution in which one kernel of `p` is 3x3 and the others are 1x1; it has no bias.

    Parameters
    ----------
    in_channels, out_channels
        M and N, of [B, M, H, W] and [B, N, ceil(H / stride), ceil(W / stride)].
    p
        The part P, which divides M: a filter has M / P kernels of 3x3. With P = M ("PC" in the
        paper) it has one.
    stride
        Of the convolution.
    arrangement
        Which inputs a filter sees by 3x3. ``shifted``, as the paper draws it: filter n those
        inputs i with (i - n) % P == 0. ``grouped``: P groups of adjacent filters, each the same
        adjacent inputs; then P divides N too. Where both can be had, they are equal up to the
        order of the channels, and ``grouped`` reorders nothing at inference.
    form
        What the layer fuses to. ``grouped``: the sum of a grouped 3x3 and a pointwise 1x1
        convolution, which has zeros where the 3x3 has its centre. ``dense``: one dense 3x3
        convolution, most of whose taps are zeros: more arithmetic in fewer kernel calls.

    Raises
    ------
    ValueError
        P does not divide the channels, or a word is unknown.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        p: int,
        *,
        stride: int = 1,
        arrangement: Arrangement = "grouped",
        form: HetConvForm = "grouped",
    ) -> None:
        super().__init__()
        if arrangement not in get_args(Arrangement):
            raise ValueError(f"arrangement is grouped or shifted, not {arrangement!r}")
        if form not in get_args(HetConvForm):
            raise ValueError(f"form is grouped or dense, not {form!r}")
        if p < 1 or in_channels % p or (arrangement == "grouped" and out_channels % p):
            raise ValueError(f"P = {p} does not divide {in_channels} -> {out_channels} channels")
        gwc = _Shifted if arrangement == "shifted" else _Grouped
        self.gwc = gwc(in_channels, out_channels, p, stride)
        self.pwc = _Pointwise(in_channels, out_channels, p, stride, arrangement)
        self.form = form

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return [B, N, H', W'] of `x`, [B, M, H, W]."""
        return self.gwc(x) + self.pwc(x)

    def fused(self, norm: nn.Module | None = None) -> nn.Module:
        """Return plain convolutions, with the `norm` that follows folded in."""
        norm = norm or nn.Identity()
        gwc, pwc = fold_norm(self.gwc, norm), fold_norm(self.pwc.plain(), norm)
        gwc.bias = None  # A sum needs its bias once.
        if self.form == "grouped":
            return with_form(KernelSum(gwc.plain(), pwc), "hetconv", self.form)
        seen = self.pwc.seen()[..., None, None].expand(gwc.weight.shape)
        weight = F.pad(pwc.weight, (1, 1, 1, 1)).scatter(1, seen, gwc.weight)
        pwc.kernel_size, pwc.padding = (3, 3), (1, 1)
        pwc.weight = nn.Parameter(weight.detach())
        return with_form(pwc, "hetconv", self.form)


class HetConvNorm(nn.Module):
    """``act(bn(conv(x)))``, as `ConvNorm` is, with a HetConv."""

    def __init__(self, conv: HetConv, act: Callable[[], nn.Module] | None = None) -> None:
        super().__init__()
        self.conv = conv
        self.bn = nn.BatchNorm2d(conv.gwc.out_channels)
        self.act = act() if act else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return [B, N, H', W'] of `x`, [B, M, H, W]."""
        return self.act(self.bn(self.conv(x)))

    def fused(self) -> nn.Sequential:
        """Return the convolutions, with a bias, and the activation; they keep their names."""
        return nn.Sequential(
            OrderedDict(conv=self.conv.fused(self.bn), act=copy.deepcopy(self.act))
        )


class KernelSum(nn.Module):
    """A deployed HetConv: the sum of its 3x3 and its 1x1 kernels."""

    def __init__(self, gwc: nn.Conv2d, pwc: nn.Conv2d) -> None:
        super().__init__()
        self.gwc = gwc
        self.pwc = pwc

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return [B, N, H', W'] of `x`, [B, M, H, W]."""
        return self.gwc(x) + self.pwc(x)


class _Grouped(nn.Conv2d):
    """The 3x3 kernels of adjacent filters, which see the same adjacent inputs."""

    def __init__(self, channels: int, filters: int, p: int, stride: int) -> None:
        super().__init__(channels, filters, 3, stride=stride, padding=1, groups=p, bias=False)

    def plain(self) -> nn.Conv2d:
        """Return the deployed form."""
        return self


class _Shifted(nn.Conv2d):
    """The 3x3 kernels of filters n, which see inputs i where (i - n) % P == 0.

    That is a grouped convolution of channels sorted by their remainder by P, which shuffles sort
    and restore. The weight, [N, M / P, 3, 3], is in the order of the filters.
    """

    def __init__(self, channels: int, filters: int, p: int, stride: int) -> None:
        super().__init__(channels // p, filters, 3, stride=stride, padding=1, bias=False)
        self.p = p

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = self._sorted_weight()
        y = F.conv2d(shuffle(x, 1, self.p), weight, None, self.stride, 1, groups=self.p)
        return shuffle(y, 1, len(weight) // self.p)[:, : self.out_channels]

    def plain(self) -> nn.Conv2d:
        """Return the deployed form, whose weight is sorted once and for all."""
        weight = self._sorted_weight()
        channels, filters = self.in_channels * self.p, len(weight)
        conv = _Shuffled(channels, filters, 3, padding=1, groups=self.p, bias=False, device="meta")
        conv.stride = self.stride
        conv.weight = nn.Parameter(weight.detach())
        conv.filters = self.out_channels
        return conv

    def _sorted_weight(self) -> torch.Tensor:
        # Groups are equally large, so filters of zeros fill up where P does not divide N.
        missing = -len(self.weight) % self.p
        return shuffle(F.pad(self.weight, (0, 0, 0, 0, 0, 0, 0, missing)), 0, self.p)


class _Shuffled(nn.Conv2d):
    """A grouped convolution of the channels sorted by their remainder; see `_Shifted`."""

    filters: int

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = super().forward(shuffle(x, 1, self.groups))
        y = shuffle(y, 1, self.out_channels // self.groups)
        # A slice of everything would export to an alias, which XNNPACK does not take.
        return y if self.filters == self.out_channels else y[:, : self.filters]


class _Pointwise(nn.Conv2d):
    """The 1x1 kernels: no weight counts where a filter sees its input by 3x3."""

    def __init__(
        self, channels: int, filters: int, p: int, stride: int, arrangement: Arrangement
    ) -> None:
        super().__init__(channels, filters, 1, stride=stride, bias=False)
        self.p = p
        self.arrangement = arrangement

    @property
    def zeros(self) -> int:
        """How many of the weights are zeros whatever is learned; `complexity` leaves them out."""
        return self.weight.numel() // self.p

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.conv2d(x, self.kept(), None, self.stride)

    def seen(self) -> torch.Tensor:
        """Return the inputs that each filter sees by 3x3, [N, M / P]."""
        filters, channels = self.weight.shape[:2]
        each = channels // self.p
        filter_ = torch.arange(filters, device=self.weight.device)[:, None]
        nth = torch.arange(each, device=self.weight.device)
        if self.arrangement == "shifted":
            return nth * self.p + filter_ % self.p
        return filter_ * self.p // filters * each + nth

    def kept(self) -> torch.Tensor:
        """Return the weight with its zeros."""
        return self.weight.scatter(1, self.seen()[..., None, None], 0.0)

    @torch.no_grad()
    def plain(self) -> nn.Conv2d:
        """Return the deployed form."""
        conv = nn.Conv2d(self.in_channels, self.out_channels, 1, bias=False, device="meta")
        conv.stride = self.stride
        conv.weight = nn.Parameter(self.kept())
        return conv
