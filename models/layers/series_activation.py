"""The series activation of VanillaNet (Chen et al., NeurIPS 2023, arXiv:2305.12972)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from lightmobile.models.layers.fold import fold_norm

__all__ = ["SeriesActivation", "series_activation"]


class SeriesActivation(nn.Conv2d):
    """A weighted sum of an activation over its neighbourhood: a depthwise convolution of A(x).

    As(x)[h, w, c] = sum over i, j in -n..n of a[i, j, c] A(x[h + i, w + j, c] + b[c]). Here b
    comes from the norm before; a norm of its own follows.

    Parameters
    ----------
    channels
        Of the input and of the output, [N, C, H, W].
    n
        At least 1; the kernel's side is 2n + 1.
    act
        Makes A.
    eps
        Of the norm.
    """

    def __init__(
        self, channels: int, n: int, act: Callable[[], nn.Module] = nn.ReLU, eps: float = 1e-6
    ) -> None:
        super().__init__(channels, channels, 2 * n + 1, padding=n, groups=channels, bias=False)
        self.act = act()
        self.bn: nn.Module = nn.BatchNorm2d(channels, eps=eps)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return As(x)."""
        return self.bn(super().forward(self.act(x)))

    def fused(self) -> SeriesActivation:
        """Return the same with the norm folded into the weights and a bias."""
        fused = fold_norm(self, self.bn)
        fused.bn = nn.Identity()
        return fused


def series_activation(
    channels: int, n: int, act: Callable[[], nn.Module] = nn.ReLU, eps: float = 1e-6
) -> nn.Module:
    """Return As of order `n`; plain A where `n` is 0."""
    return SeriesActivation(channels, n, act, eps) if n else act()
