"""The channel-wise convolution of ChannelNets (Gao et al., NeurIPS 2018, arXiv:1809.01330)."""

from __future__ import annotations

import copy

import torch
from torch import nn

from lightmobile.models.layers.fold import fold_norm

__all__ = ["WindowConv"]


class WindowConv(nn.Module):
    """A window of k channels that slides over all of them, its weights shared, and a norm.

    A weak channel operator: each output sees k inputs. More outputs than inputs take several
    filters, fewer a stride. The window wraps around at the last channel, so that none sees less
    (ours).

    Parameters
    ----------
    in_channels, out_channels
        M and N, of [B, M, H, W] and [B, N, H, W]; one divides the other.
    window
        k, at most M.
    """

    def __init__(self, in_channels: int, out_channels: int, window: int) -> None:
        super().__init__()
        if max(in_channels, out_channels) % min(in_channels, out_channels):
            raise ValueError(f"neither of {in_channels} and {out_channels} divides the other")
        if not 1 <= window <= in_channels:
            raise ValueError(f"the window is between 1 and {in_channels}, not {window}")
        filters = max(1, out_channels // in_channels)
        stride = max(1, in_channels // out_channels)
        self.wrapped = max(0, window - stride)
        self.conv = nn.Conv2d(1, filters, (window, 1), stride=(stride, 1), bias=False)
        self.bn: nn.Module = nn.BatchNorm2d(filters)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return [B, N, H, W] of `x`, [B, M, H, W]."""
        size = x.shape[2:]
        if self.wrapped:
            x = torch.cat((x, x[:, : self.wrapped]), dim=1)
        # An image of one channel, as high as there were channels.
        return self.bn(self.conv(x.flatten(2).unsqueeze(1))).flatten(1, 2).unflatten(2, size)

    def fused(self) -> WindowConv:
        """Return the same with the norm folded into the weights and a bias."""
        fused = copy.deepcopy(self)
        fused.conv = fold_norm(self.conv, self.bn)
        fused.bn = nn.Identity()
        return fused
