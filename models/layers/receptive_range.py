"""The receptive range of a channel operator (Cai & Shen, arXiv:2306.06365)."""

from __future__ import annotations

import torch
from torch import nn

from lightmobile.models.fusion import fuse

__all__ = ["receptive_range"]


@torch.no_grad()
def receptive_range(operator: nn.Module, channels: int) -> int:
    """Return how many input channels each output of `operator` sees, directly or through others.

    Of C inputs, a dense 1x1 convolution sees C, one of g groups C / g, a window of k channels k,
    an SF convolution C again. Here this is no formula, but observed: with all weights at one, an
    output answers to those inputs that it sees. Where outputs differ, the least counts.

    Parameters
    ----------
    operator
        Any module from [N, C, H, W]; it stays as it is.
    channels
        C.
    """
    probe = fuse(operator).to_empty(device="cpu").double()
    for parameter in probe.parameters():
        parameter.fill_(1.0 if parameter.ndim > 1 else 0.0)
    one_at_a_time = torch.eye(channels, dtype=torch.double)[:, :, None, None]
    seen = probe(one_at_a_time).flatten(1) != 0
    return int(seen.sum(0).min())
