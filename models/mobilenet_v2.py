"""MobileNetV2: Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks".

CVPR 2018, arXiv:1801.04381. Paddings are symmetric, as in timm and torchvision, not TensorFlow's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from lightmobile.models.backbone import Layout
from lightmobile.models.key_map import KeyMap
from lightmobile.models.layers.conv_norm import ConvNorm
from lightmobile.models.layers.initialization import initialize_residual
from lightmobile.models.registry import register_model

__all__ = ["MobileNetV2"]

# The paper's table 2; only the first stage does not expand.
_STRIDES = (1, 2, 2, 2, 1, 2, 1)
_EXPANSIONS = (1, 6, 6, 6, 6, 6, 6)


class InvertedResidual(nn.Module):
    """1x1 expansion, depthwise 3x3, 1x1 projection without activation.

    Parameters
    ----------
    in_channels, out_channels
        Of [N, in, H, W] and [N, out, ceil(H / stride), ceil(W / stride)]; a shortcut is around the
        block where the two agree.
    expansion
        Width of the depthwise convolution, in multiples of `in_channels`; 1 needs no expansion.
    stride
        Of the depthwise convolution.
    """

    def __init__(self, in_channels: int, out_channels: int, *, expansion: int, stride: int) -> None:
        super().__init__()
        hidden = in_channels * expansion
        self.expand = (
            ConvNorm(in_channels, hidden, act=nn.ReLU6) if expansion > 1 else nn.Identity()
        )
        self.depthwise = ConvNorm(hidden, hidden, 3, stride=stride, groups=hidden, act=nn.ReLU6)
        self.project = ConvNorm(hidden, out_channels)
        self.shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return [N, out, H', W'] of `x`, [N, in, H, W]."""
        y = self.project(self.depthwise(self.expand(x)))
        return x + y if self.shortcut else y


class MobileNetV2(nn.Module):
    """The MobileNetV2 classifier: logits [N, num_classes] of images [N, 3, H, W].

    Parameters
    ----------
    depths, widths
        Blocks and channels of each of the seven stages.
    stem_width, head_width
        Channels before the first and after the last stage.
    num_classes
        Length of the logits.
    """

    def __init__(
        self,
        *,
        depths: Sequence[int] = (1, 2, 3, 4, 3, 3, 1),
        widths: Sequence[int] = (16, 24, 32, 64, 96, 160, 320),
        stem_width: int = 32,
        head_width: int = 1280,
        num_classes: int = 1000,
    ) -> None:
        super().__init__()
        self.depths = tuple(depths)
        self.stem = ConvNorm(3, stem_width, 3, stride=2, act=nn.ReLU6)
        self.stages = nn.Sequential()
        channels = stem_width
        for depth, width, stride, expansion in zip(
            depths, widths, _STRIDES, _EXPANSIONS, strict=True
        ):
            stage = nn.Sequential()
            for index in range(depth):
                block = InvertedResidual(
                    channels, width, expansion=expansion, stride=1 if index else stride
                )
                stage.append(block)
                channels = width
            self.stages.append(stage)
        self.backbone_layout = Layout(taps=(1, 2, 4, 6))
        self.head = ConvNorm(channels, head_width, act=nn.ReLU6)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(head_width, num_classes)
        self.apply(initialize_residual)

    @property
    def key_maps(self) -> dict[str, KeyMap]:
        """Timm's names."""
        prefixes = {
            "stem.conv.": "conv_stem.",
            "stem.bn.": "bn1.",
            "head.conv.": "conv_head.",
            "head.bn.": "bn2.",
            "fc.": "classifier.",
        }
        for stage, depth in enumerate(self.depths):
            names = _TIMM_SEPARABLE if _EXPANSIONS[stage] == 1 else _TIMM_INVERTED
            for block in range(depth):
                ours, theirs = f"stages.{stage}.{block}.", f"blocks.{stage}.{block}."
                prefixes |= {ours + key: theirs + name for key, name in names.items()}
        return {"timm": KeyMap(prefixes)}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits of images `x`."""
        return self.fc(self.pool(self.head(self.stages(self.stem(x)))).flatten(1))


_TIMM_SEPARABLE = {
    "depthwise.conv.": "conv_dw.",
    "depthwise.bn.": "bn1.",
    "project.conv.": "conv_pw.",
    "project.bn.": "bn2.",
}
_TIMM_INVERTED = {
    "expand.conv.": "conv_pw.",
    "expand.bn.": "bn1.",
    "depthwise.conv.": "conv_dw.",
    "depthwise.bn.": "bn2.",
    "project.conv.": "conv_pwl.",
    "project.bn.": "bn3.",
}


@register_model
def mobilenet_v2(**overrides: Any) -> MobileNetV2:
    """MobileNetV2: 3.5 M parameters, 0.30 GMACs."""
    return MobileNetV2(**overrides)


@register_model
def mobilenet_v2_x1_4(**overrides: Any) -> MobileNetV2:
    """MobileNetV2, 1.4 times as wide, to multiples of 8: 6.1 M parameters, 0.58 GMACs."""
    variant: dict[str, Any] = {
        "widths": (24, 32, 48, 88, 136, 224, 448),
        "stem_width": 48,
        "head_width": 1792,
    }
    return MobileNetV2(**(variant | overrides))
