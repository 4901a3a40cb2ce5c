"""Convolution, batch normalisation, activation: one convolution and the activation, once fused."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import nn

from lightmobile.models.layers.fold import fold_norm

__all__ = ["ConvNorm"]

# Far from zero SiLU is as linear as ReLU, and far from six ReLU6 is; see `untrained`.
_UNTRAINED_DEVIATIONS: dict[type[nn.Module], float] = {nn.SiLU: 3.0, nn.ReLU6: 0.5}


class ConvNorm(nn.Module):
    """``act(bn(conv(x)))``.

    Parameters
    ----------
    in_channels, out_channels
        Of [N, in, H, W] and [N, out, ceil(H / stride), ceil(W / stride)].
    kernel_size
        Of both sides, or height and width. Odd; the padding keeps the centre on the image.
    stride, groups
        Of the convolution.
    bias
        Of the convolution, although the norm brings one: some checkpoints have both.
    act
        Makes the activation; none where None.
    eps
        Of the norm.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int] = 1,
        *,
        stride: int = 1,
        groups: int = 1,
        bias: bool = False,
        act: Callable[[], nn.Module] | None = None,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        height, width = (kernel_size,) * 2 if isinstance(kernel_size, int) else kernel_size
        self.conv = nn.Conv2d(
            in_channels,
            out_channels,
            (height, width),
            stride=stride,
            padding=(height // 2, width // 2),
            groups=groups,
            bias=bias,
        )
        self.bn = nn.BatchNorm2d(out_channels, eps=eps)
        self.act = act() if act else nn.Identity()
        deviation = _UNTRAINED_DEVIATIONS.get(type(self.act))
        self.untrained_deviations = {"conv": deviation} if deviation else {}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return [N, out, H', W'] of `x`, [N, in, H, W]."""
        return self.act(self.bn(self.conv(x)))

    def fused(self) -> nn.Sequential:
        """Return the convolution, with a bias, and the activation; they keep their names."""
        return nn.Sequential(
            OrderedDict(conv=fold_norm(self.conv, self.bn), act=copy.deepcopy(self.act))
        )
