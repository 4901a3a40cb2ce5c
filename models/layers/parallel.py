"""Parallel convolutions that are one at inference (Ding et al., CVPR 2021, arXiv:2101.03697)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from typing import cast

import torch
from torch import nn

from lightmobile.models.layers.conv_norm import ConvNorm
from lightmobile.models.layers.fold import fold_norm, merge_parallel

__all__ = ["ParallelConvs"]


class ParallelConvs(nn.Module):
    """The sum of parallel convolutions, each with a norm of its own.

    Parameters
    ----------
    branches
        At least one, without activations; the first has the largest kernel. See `merge_parallel`.
    """

    def __init__(self, branches: Iterable[ConvNorm]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)
        if not self.branches:
            raise ValueError("there is at least one branch, not 0")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the sum of what the branches make of `x`, [N, C, H, W]."""
        return reduce(torch.add, (branch(x) for branch in self.branches))

    def fused(self) -> nn.Conv2d:
        """Return the one convolution, with a bias."""
        branches = cast("Iterable[ConvNorm]", self.branches)
        return merge_parallel([fold_norm(branch.conv, branch.bn) for branch in branches])
