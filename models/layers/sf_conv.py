"""The sparsely factorized 1x1 convolution of FalconNet (Cai & Shen, arXiv:2306.06365).

The formulas are re-derived from a digest of the paper, which has lost them.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import nn

from lightmobile.models.layers.fold import merge_pointwise
from lightmobile.models.layers.shuffle import shuffle

__all__ = ["Factor", "SFConv", "sf_conv", "sf_factors"]


class Factor(NamedTuple):
    """The shape of a grouped 1x1 convolution."""

    in_channels: int
    out_channels: int
    groups: int


class SFConv(nn.Module):
    """Two grouped 1x1 convolutions, the second across the groups of the first.

    Each group of the first sees K adjacent inputs; each of the second sees one hidden neuron of
    every group, and through it all inputs.

    Parameters
    ----------
    first, second
        Of the shapes that `sf_factors` returns.
    """

    def __init__(self, first: nn.Conv2d, second: nn.Conv2d) -> None:
        super().__init__()
        self.first = first
        self.second = second

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return [B, N, H, W] of `x`, [B, M, H, W]."""
        return self.second(shuffle(self.first(x), 1, self.second.groups))

    def dense(self) -> nn.Conv2d:
        """Return the dense 1x1 convolution that computes the same: W = W2 P W1, P the shuffle.

        It has N M weights, hence more arithmetic, in one kernel call.
        """
        first = _ungrouped(self.first)
        for parameter in first.parameters():
            parameter.data = shuffle(parameter.data, 0, self.second.groups)
        return merge_pointwise(first, _ungrouped(self.second))


def sf_conv(
    in_channels: int, out_channels: int, reduction: int = 2, kernel: int | None = None
) -> SFConv:
    """Return an SF convolution without bias; see `sf_factors`."""
    factors = sf_factors(in_channels, out_channels, reduction, kernel)
    return SFConv(*(nn.Conv2d(i, o, 1, groups=groups, bias=False) for i, o, groups in factors))


def sf_factors(
    in_channels: int, out_channels: int, reduction: int = 2, kernel: int | None = None
) -> tuple[Factor, Factor]:
    """Return the shapes of both factors of a 1x1 convolution of M inputs and N outputs.

    The first slides a kernel of K inputs by K, with weights of its own and K / R outputs at each of
    the M / K positions: M K / R weights. The second is depthwise over those K / R channels, and
    spans all positions: N M / K weights.

    Parameters
    ----------
    in_channels, out_channels
        M and N; N is lambda C in the paper, and M is C.
    reduction
        R: there are M / R hidden neurons.
    kernel
        K, such that K divides M, R divides K, and K divides R N. Where None, that which makes the
        fewest weights: the nearest to sqrt(R N), by ratio.

    Raises
    ------
    ValueError
        There is no such K, or `kernel` is none.
    """
    fitting = [
        k
        for k in range(reduction, in_channels + 1, reduction)
        if in_channels % k == 0 and reduction * out_channels % k == 0
    ]
    if not fitting or kernel not in (None, *fitting):
        raise ValueError(
            f"an SF convolution of {in_channels} -> {out_channels} channels, R = {reduction}, "
            f"can have the kernels {fitting}, not {kernel}"
        )
    best = math.sqrt(reduction * out_channels)
    size = kernel or min(fitting, key=lambda k: abs(math.log(k / best)))
    hidden = in_channels // reduction
    return (
        Factor(in_channels, hidden, in_channels // size),
        Factor(hidden, out_channels, size // reduction),
    )


def _ungrouped(conv: nn.Conv2d) -> nn.Conv2d:
    """Return the 1x1 convolution without groups that equals `conv`."""
    plain = nn.Conv2d(conv.in_channels, conv.out_channels, 1, bias=False, device="meta")
    blocks = conv.weight.detach().flatten(1).chunk(conv.groups)
    weight: torch.Tensor = torch.block_diag(*blocks)  # type: ignore[no-untyped-call]
    plain.weight = nn.Parameter(weight[..., None, None])
    plain.bias = None if conv.bias is None else nn.Parameter(conv.bias.detach().clone())
    return plain
