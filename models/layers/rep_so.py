"""The reparameterized spatial operator of FalconNet (Cai & Shen, arXiv:2306.06365)."""

from __future__ import annotations

import torch
from torch import nn

from lightmobile.models.layers.conv_norm import ConvNorm
from lightmobile.models.layers.fold import fold_norm, merge_parallel
from lightmobile.models.layers.parallel import ParallelConvs

__all__ = ["RepSO"]


class RepSO(nn.Module):
    """The sum of depthwise branches and the input: one depthwise 3x3 convolution, once fused.

    The branches are N of 3x3, whose kernels' skeleton another 1x3 and 3x1 strengthen, and whose
    centre a 1x1; every one of the N + 4, the input among them, has a norm of its own.

    Parameters
    ----------
    channels
        Of the input and of the output, [B, C, H, W].
    parallel
        N, at least 1.
    """

    def __init__(self, channels: int, parallel: int = 3) -> None:
        super().__init__()
        if parallel < 1:
            raise ValueError(f"RepSO has at least one 3x3 branch, not {parallel}")
        kernels = [(3, 3)] * parallel + [(1, 3), (3, 1), (1, 1)]
        self.convs = ParallelConvs(
            ConvNorm(channels, channels, kernel, groups=channels) for kernel in kernels
        )
        self.identity = nn.BatchNorm2d(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Mix space within each channel of `x`, [B, C, H, W]; the shape stays."""
        return self.convs(x) + self.identity(x)

    def fused(self) -> nn.Conv2d:
        """Return the one convolution, with a bias."""
        return merge_parallel(
            [self.convs.fused(), fold_norm(_identity(self.identity), self.identity)]
        )


def _identity(norm: nn.BatchNorm2d) -> nn.Conv2d:
    """Return the depthwise convolution that changes nothing before `norm`."""
    channels = norm.num_features
    conv = nn.Conv2d(channels, channels, 1, groups=channels, bias=False, device="meta")
    conv.weight = nn.Parameter(torch.ones_like(norm.weight)[:, None, None, None])
    return conv
