"""The inverted residual of MobileNetV2 (Sandler et al., CVPR 2018, arXiv:1801.04381)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from lightmobile.models.layers.conv_norm import ConvNorm
from lightmobile.models.layers.squeeze_excite import SqueezeExcite

__all__ = ["InvertedResidual"]


class InvertedResidual(nn.Module):
    """1x1 expansion, depthwise convolution, 1x1 projection without activation.

    Parameters
    ----------
    in_channels, out_channels
        Of [N, in, H, W] and [N, out, ceil(H / stride), ceil(W / stride)]; a shortcut is around the
        block where the two agree.
    expansion
        Width of the depthwise convolution, in multiples of `in_channels`; 1 needs no expansion.
    kernel_size, stride
        Of the depthwise convolution.
    act
        Makes the activations.
    se
        Squeeze-and-excitation after the depthwise convolution, to a quarter of `in_channels`: the
        MBConv of MnasNet and EfficientNet.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        expansion: int,
        kernel_size: int,
        stride: int,
        act: Callable[[], nn.Module],
        se: bool,
    ) -> None:
        super().__init__()
        hidden = in_channels * expansion
        self.expand = ConvNorm(in_channels, hidden, act=act) if expansion > 1 else nn.Identity()
        self.depthwise = ConvNorm(
            hidden, hidden, kernel_size, stride=stride, groups=hidden, act=act
        )
        self.se = SqueezeExcite(hidden, in_channels // 4, act) if se else nn.Identity()
        self.project = ConvNorm(hidden, out_channels)
        self.shortcut = stride == 1 and in_channels == out_channels
        # A product of features amplifies contrast from block to block; see `untrained`.
        self.untrained_deviations = {"project.conv": 0.2} if se and self.shortcut else {}

    @property
    def timm_names(self) -> dict[str, str]:
        """Our prefixes -> timm's, which number the norms and say `pwl` for a second 1x1."""
        expands = isinstance(self.expand, ConvNorm)
        return {
            "expand.conv.": "conv_pw.",
            "expand.bn.": "bn1.",
            "depthwise.conv.": "conv_dw.",
            "depthwise.bn.": "bn2." if expands else "bn1.",
            "se.fc1.": "se.conv_reduce.",
            "se.fc2.": "se.conv_expand.",
            "project.conv.": "conv_pwl." if expands else "conv_pw.",
            "project.bn.": "bn3." if expands else "bn2.",
        }

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return [N, out, H', W'] of `x`, [N, in, H, W]."""
        y = self.project(self.se(self.depthwise(self.expand(x))))
        return x + y if self.shortcut else y
