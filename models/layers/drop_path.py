"""Stochastic depth (Huang et al., ECCV 2016, arXiv:1603.09382)."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["DropPath"]


class DropPath(nn.Module):
    """Drop a whole residual branch, for each sample of the batch by itself, in training only."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        if not 0 <= rate < 1:
            raise ValueError(f"drop_path is at least 0 and below 1, not {rate}")
        self.rate = rate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return `x`, [N, ...], with some samples zeroed and the others scaled up to match."""
        if not self.training or self.rate == 0:
            return x
        keep = 1 - self.rate
        kept = x.new_empty((len(x),) + (1,) * (x.ndim - 1)).bernoulli_(keep)
        return x * (kept / keep)
