"""EfficientNet: Tan and Le, "EfficientNet: Rethinking Model Scaling for CNNs".

ICML 2019, arXiv:1905.11946. Paddings are symmetric, as in https://github.com/facebookresearch/pycls
and timm, not TensorFlow's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import nn

from lightmobile.models.backbone import Layout
from lightmobile.models.key_map import KeyMap
from lightmobile.models.layers.conv_norm import ConvNorm
from lightmobile.models.layers.initialization import initialize_residual
from lightmobile.models.layers.squeeze_excite import SqueezeExcite
from lightmobile.models.registry import register_model
from lightmobile.models.scaling import UNSCALED, Factors

__all__ = ["EfficientNet"]


class Stage(NamedTuple):
    """A row of the paper's table 1."""

    depth: int
    width: int
    expansion: int
    kernel_size: int
    stride: int


_B0 = (
    Stage(1, 16, 1, 3, 1),
    Stage(2, 24, 6, 3, 2),
    Stage(2, 40, 6, 5, 2),
    Stage(3, 80, 6, 3, 2),
    Stage(3, 112, 6, 5, 1),
    Stage(4, 192, 6, 5, 2),
    Stage(1, 320, 6, 3, 1),
)
_STEM_WIDTH = 32
_HEAD_WIDTH = 1280


class MBConv(nn.Module):
    """1x1 expansion, depthwise convolution, squeeze-and-excitation, 1x1 projection.

    Parameters
    ----------
    in_channels, out_channels
        Of [N, in, H, W] and [N, out, ceil(H / stride), ceil(W / stride)]; a shortcut is around the
        block where the two agree.
    expansion
        Width of the depthwise convolution, in multiples of `in_channels`; 1 needs no expansion.
    kernel_size, stride
        Of the depthwise convolution.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, expansion: int, kernel_size: int, stride: int
    ) -> None:
        super().__init__()
        hidden = in_channels * expansion
        self.expand = ConvNorm(in_channels, hidden, act=nn.SiLU) if expansion > 1 else nn.Identity()
        self.depthwise = ConvNorm(
            hidden, hidden, kernel_size, stride=stride, groups=hidden, act=nn.SiLU
        )
        self.se = SqueezeExcite(hidden, in_channels // 4, nn.SiLU)
        self.project = ConvNorm(hidden, out_channels)
        self.shortcut = stride == 1 and in_channels == out_channels
        self.untrained_deviations = {"project.conv": 0.2} if self.shortcut else {}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return [N, out, H', W'] of `x`, [N, in, H, W]."""
        y = self.project(self.se(self.depthwise(self.expand(x))))
        return x + y if self.shortcut else y


class EfficientNet(nn.Module):
    """The EfficientNet classifier: logits [N, num_classes] of images [N, 3, H, W].

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
        depths: Sequence[int],
        widths: Sequence[int],
        stem_width: int = _STEM_WIDTH,
        head_width: int = _HEAD_WIDTH,
        num_classes: int = 1000,
    ) -> None:
        super().__init__()
        self.depths = tuple(depths)
        self.widths = tuple(widths)
        self.stem = ConvNorm(3, stem_width, 3, stride=2, act=nn.SiLU)
        self.stages = nn.Sequential()
        channels = stem_width
        for depth, width, stage in zip(depths, widths, _B0, strict=True):
            blocks = nn.Sequential()
            for index in range(depth):
                block = MBConv(
                    channels,
                    width,
                    expansion=stage.expansion,
                    kernel_size=stage.kernel_size,
                    stride=1 if index else stage.stride,
                )
                blocks.append(block)
                channels = width
            self.stages.append(blocks)
        self.backbone_layout = Layout(taps=(1, 2, 4, 6))
        self.head = ConvNorm(channels, head_width, act=nn.SiLU)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(head_width, num_classes)
        self.apply(initialize_residual)

    @property
    def key_maps(self) -> dict[str, KeyMap]:
        """Timm's names. The authors of pycls take images as BGR, so theirs are not read."""
        prefixes = {
            "stem.conv.": "conv_stem.",
            "stem.bn.": "bn1.",
            "head.conv.": "conv_head.",
            "head.bn.": "bn2.",
            "fc.": "classifier.",
        }
        for stage, depth in enumerate(self.depths):
            names = _TIMM_SEPARABLE if _B0[stage].expansion == 1 else _TIMM_INVERTED
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
    "se.fc1.": "se.conv_reduce.",
    "se.fc2.": "se.conv_expand.",
    "project.conv.": "conv_pw.",
    "project.bn.": "bn2.",
}
_TIMM_INVERTED = {
    "expand.conv.": "conv_pw.",
    "expand.bn.": "bn1.",
    "depthwise.conv.": "conv_dw.",
    "depthwise.bn.": "bn2.",
    "se.fc1.": "se.conv_reduce.",
    "se.fc2.": "se.conv_expand.",
    "project.conv.": "conv_pwl.",
    "project.bn.": "bn3.",
}


def _efficientnet(
    factors: Factors, overrides: dict[str, Any], *, width: float = 1.0, depth: float = 1.0
) -> EfficientNet:
    """Build B0 grown by the paper's compound rule, then scaled by `factors`."""
    stem, *widths, head = factors.widths(
        _round_channels(channels * width)
        for channels in (_STEM_WIDTH, *(stage.width for stage in _B0), _HEAD_WIDTH)
    )
    stages: dict[str, Any] = {
        "depths": factors.depths(math.ceil(stage.depth * depth) for stage in _B0),
        "widths": widths,
        "stem_width": stem,
        "head_width": head,
    }
    return EfficientNet(**(stages | overrides))


def _round_channels(channels: float) -> int:
    """Round to a multiple of 8, at most a tenth down."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * channels else rounded + 8


@register_model
def efficientnet_b0(factors: Factors = UNSCALED, **overrides: Any) -> EfficientNet:
    """EfficientNet-B0: 5.3 M parameters, 0.39 GMACs."""
    return _efficientnet(factors, overrides)


@register_model
def efficientnet_b1(factors: Factors = UNSCALED, **overrides: Any) -> EfficientNet:
    """EfficientNet-B1, for 240 pixels."""
    return _efficientnet(factors, overrides, width=1.0, depth=1.1)


@register_model
def efficientnet_b2(factors: Factors = UNSCALED, **overrides: Any) -> EfficientNet:
    """EfficientNet-B2, for 260 pixels."""
    return _efficientnet(factors, overrides, width=1.1, depth=1.2)


@register_model
def efficientnet_b3(factors: Factors = UNSCALED, **overrides: Any) -> EfficientNet:
    """EfficientNet-B3, for 300 pixels."""
    return _efficientnet(factors, overrides, width=1.2, depth=1.4)


@register_model
def efficientnet_b4(factors: Factors = UNSCALED, **overrides: Any) -> EfficientNet:
    """EfficientNet-B4, for 380 pixels."""
    return _efficientnet(factors, overrides, width=1.4, depth=1.8)


@register_model
def efficientnet_b5(factors: Factors = UNSCALED, **overrides: Any) -> EfficientNet:
    """EfficientNet-B5, for 456 pixels."""
    return _efficientnet(factors, overrides, width=1.6, depth=2.2)
