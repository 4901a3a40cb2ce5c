"""The deep training strategy of VanillaNet (Chen et al., NeurIPS 2023, arXiv:2305.12972).

Two convolutions learn with an activation between them that fades to the identity as training goes
on; then they are one convolution.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import nn

from lightmobile.errors import UsageError
from lightmobile.models.layers.fold import fold_norm, merge_pointwise

__all__ = ["DeepConv", "FadingActivation", "lambda_schedule", "set_lambda"]

Curve = Literal["linear", "cosine"]


class FadingActivation(nn.Module):
    """A'(x) = (1 - lambda) A(x) + lambda x; the identity at lambda = 1, where it starts.

    Parameters
    ----------
    act
        Makes A. With ReLU, A' is a leaky ReLU of slope lambda.
    """

    def __init__(self, act: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.act = act()
        self.lam = 1.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return A'(x)."""
        if self.lam == 1:
            return x
        return (1 - self.lam) * self.act(x) + self.lam * x


class DeepConv(nn.Module):
    """A convolution, a fading activation, and a 1x1 convolution: one convolution, once fused.

    Parameters
    ----------
    first, second
        Both with a bias.
    act
        Makes the activation that fades.
    norms
        After the first and after the second; None where there is none.
    """

    def __init__(
        self,
        first: nn.Conv2d,
        second: nn.Conv2d,
        act: Callable[[], nn.Module],
        norms: tuple[nn.Module, nn.Module | None],
    ) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(first, norms[0])
        self.act = FadingActivation(act)
        self.conv2 = nn.Sequential(second, norms[1] or nn.Identity())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the features of `x`, [N, in, H, W]."""
        return self.conv2(self.act(self.conv1(x)))

    def fused(self) -> nn.Conv2d:
        """Return the one convolution.

        Raises
        ------
        UsageError
            The activation is still there: lambda is not 1.
        """
        if self.act.lam != 1:
            raise UsageError(
                f"The model cannot be fused at lambda = {self.act.lam:g}",
                why="An activation still stands between the convolutions that become one",
                fix="Train on until lambda is 1, then fuse; set_lambda(model, 1) changes the model",
            )
        return merge_pointwise(fold_norm(*self.conv1), fold_norm(*self.conv2))


def set_lambda(model: nn.Module, lam: float) -> None:
    """Set lambda in every fading activation of `model`.

    Raises
    ------
    ValueError
        `lam` is not between 0 and 1.
    """
    if not 0 <= lam <= 1:
        raise ValueError(f"lambda is between 0 and 1, not {lam}")
    for module in model.modules():
        if isinstance(module, FadingActivation):
            module.lam = lam


def lambda_schedule(epoch: int, epochs: int, curve: Curve = "linear") -> float:
    """Return lambda in an epoch: from 0 at the first to 1 at epoch `epochs`, where it stays.

    The paper's is e / E over the whole training; the published checkpoints fade linearly within
    the first 100 of 300 epochs.

    Parameters
    ----------
    epoch
        Counted from 0.
    epochs
        How many the fading takes; at least 1.
    curve
        ``linear``, or ``cosine``: (1 - cos(pi e / E)) / 2.
    """
    progress = min(epoch / epochs, 1.0)
    return progress if curve == "linear" else (1 - math.cos(math.pi * progress)) / 2
