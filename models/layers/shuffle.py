"""The channel shuffle (Zhang et al., CVPR 2018, arXiv:1707.01083)."""

from __future__ import annotations

import torch

__all__ = ["interleave", "shuffle"]


def shuffle(x: torch.Tensor, dim: int, parts: int) -> torch.Tensor:
    """Sort the indices of axis `dim` by their remainder by `parts`, which divides its length."""
    split = (*x.shape[:dim], -1, parts, *x.shape[dim + 1 :])
    return x.reshape(split).transpose(dim, dim + 1).reshape(x.shape)


def interleave(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return [N, 2C, H, W], whose channels are in turns those of `a` and of `b`, [N, C, H, W] each.

    That is ``shuffle(torch.cat((a, b), 1), 1, C)`` without a transpose.
    """
    return torch.stack((a, b), 2).flatten(1, 2)
