"""Squeeze-and-excitation (Hu et al., CVPR 2018, arXiv:1709.01507)."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import nn

__all__ = ["SqueezeExcite"]


class SqueezeExcite(nn.Module):
    """Weigh each channel by what all hold on average: ``x * sigmoid(fc2(act(fc1(mean))))``.

    Parameters
    ----------
    channels
        Of the input and of the output, [N, C, H, W].
    hidden
        Channels between the two 1x1 convolutions.
    act
        Makes the activation between them.
    """

    # Weights that hardly differ between photographs; see `untrained`.
    untrained_deviations: ClassVar[dict[str, float]] = {"fc2": 0.1}

    def __init__(self, channels: int, hidden: int, act: Callable[[], nn.Module] = nn.ReLU) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, hidden, 1)
        self.act = act()
        self.fc2 = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return `x`, [N, C, H, W], with each channel scaled by a weight between 0 and 1."""
        # A mean that keeps its axes is what XNNPACK takes as global pooling, and its output feeds
        # the 1x1 convolutions without a reshape in between, in every target.
        mean = x.mean((2, 3), keepdim=True)
        return x * torch.sigmoid(self.fc2(self.act(self.fc1(mean))))
