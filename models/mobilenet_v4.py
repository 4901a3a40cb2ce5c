"""MobileNetV4: Qin et al., "MobileNetV4: Universal Models for the Mobile Ecosystem".

ECCV 2024, arXiv:2404.10518; the authors' code: official/vision/modeling/backbones/mobilenet.py of
https://github.com/tensorflow/models. Paddings are symmetric, as in timm, not TensorFlow's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import nn

from lightmobile.models.backbone import Layout
from lightmobile.models.key_map import KeyMap
from lightmobile.models.layers.conv_norm import ConvNorm
from lightmobile.models.layers.initialization import initialize_residual
from lightmobile.models.registry import register_model

__all__ = ["MobileNetV4"]


class Block(NamedTuple):
    """What tells one universal inverted bottleneck of a stage from another."""

    dw_start: int
    dw_mid: int
    expansion: int


# The two stages of Conv-S that are made of them, as in the paper's table 11.
_SMALL = (
    (Block(5, 5, 3), *(Block(0, 3, 2),) * 4, Block(3, 0, 4)),
    (Block(3, 3, 6), Block(5, 5, 4), Block(0, 5, 4), Block(0, 5, 3), *(Block(0, 3, 4),) * 2),
)


class UniversalInvertedBottleneck(nn.Module):
    """Depthwise, 1x1 expansion, depthwise, 1x1 projection; either depthwise may be missing.

    With the second it is an inverted bottleneck, with the first a ConvNeXt block, with both the
    paper's "extra depthwise" block, with neither a feed-forward network.

    Parameters
    ----------
    in_channels, out_channels
        Of [N, in, H, W] and [N, out, ceil(H / stride), ceil(W / stride)]; a shortcut is around the
        block where the two agree.
    dw_start, dw_mid
        Kernel sizes of the depthwise convolutions; 0 where there is none. The last one strides.
    expansion
        Width between the 1x1 convolutions, in multiples of `in_channels`.
    stride
        Of the block.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        dw_start: int,
        dw_mid: int,
        expansion: int,
        stride: int,
    ) -> None:
        super().__init__()
        if stride > 1 and not (dw_start or dw_mid):
            raise ValueError("without a depthwise convolution there is nothing to stride")
        hidden = in_channels * expansion
        self.dw_start = _depthwise(in_channels, dw_start, 1 if dw_mid else stride)
        self.pw_exp = ConvNorm(in_channels, hidden, act=nn.ReLU)
        self.dw_mid = _depthwise(hidden, dw_mid, stride, nn.ReLU)
        self.pw_proj = ConvNorm(hidden, out_channels)
        self.shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return [N, out, H', W'] of `x`, [N, in, H, W]."""
        y = self.pw_proj(self.dw_mid(self.pw_exp(self.dw_start(x))))
        return x + y if self.shortcut else y


def _depthwise(
    channels: int, kernel_size: int, stride: int, act: type[nn.Module] | None = None
) -> nn.Module:
    if not kernel_size:
        return nn.Identity()
    return ConvNorm(channels, channels, kernel_size, stride=stride, groups=channels, act=act)


class MobileNetV4(nn.Module):
    """The MobileNetV4 classifier: logits [N, num_classes] of images [N, 3, H, W].

    Blocks are named as in timm.

    Parameters
    ----------
    widths
        Channels of the four stages.
    depths
        How many of the blocks of Conv-S the last two stages have, the first ones first; the other
        stages are two convolutions each.
    stem_width
        Channels before the first stage.
    head_widths
        Channels of the 1x1 convolutions before and after the pooling.
    num_classes
        Length of the logits.
    """

    # timm counts the convolution before the pooling as a stage.
    key_maps: ClassVar[dict[str, KeyMap]] = {
        "timm": KeyMap(
            {
                "stem.conv.": "conv_stem.",
                "stem.bn.": "bn1.",
                "stages.": "blocks.",
                **{
                    f"stages.{stage}.{index}.bn.": f"blocks.{stage}.{index}.bn1."
                    for stage in range(2)
                    for index in range(2)
                },
                "widen.conv.": "blocks.4.0.conv.",
                "widen.bn.": "blocks.4.0.bn1.",
                "head.conv.": "conv_head.",
                "head.bn.": "norm_head.",
                "fc.": "classifier.",
            }
        )
    }

    def __init__(
        self,
        *,
        widths: Sequence[int] = (32, 64, 96, 128),
        depths: Sequence[int] = (6, 6),
        stem_width: int = 32,
        head_widths: Sequence[int] = (960, 1280),
        num_classes: int = 1000,
    ) -> None:
        super().__init__()
        first, second, *others = widths
        self.stem = ConvNorm(3, stem_width, 3, stride=2, act=nn.ReLU)
        self.stages = nn.Sequential(
            _convolutions(stem_width, first, expansion=1),
            _convolutions(first, second, expansion=3),
        )
        channels = second
        for width, depth, blocks in zip(others, depths, _SMALL, strict=True):
            if not 1 <= depth <= len(blocks):
                raise ValueError(f"these stages have 1 to {len(blocks)} blocks, not {depth}")
            stage = nn.Sequential()
            for block in blocks[:depth]:
                stride = 1 if len(stage) else 2
                stage.append(
                    UniversalInvertedBottleneck(channels, width, **block._asdict(), stride=stride)
                )
                channels = width
            self.stages.append(stage)
        self.backbone_layout = Layout(taps=(0, 1, 2, 3))
        widened, features = head_widths
        self.widen = ConvNorm(channels, widened, act=nn.ReLU)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = ConvNorm(widened, features, act=nn.ReLU)
        self.fc = nn.Linear(features, num_classes)
        self.apply(initialize_residual)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits of images `x`."""
        x = self.widen(self.stages(self.stem(x)))
        return self.fc(self.head(self.pool(x)).flatten(1))


def _convolutions(channels: int, width: int, expansion: int) -> nn.Sequential:
    """Return a strided 3x3 convolution and a 1x1: an inverted bottleneck's cheap first form."""
    hidden = channels * expansion
    return nn.Sequential(
        ConvNorm(channels, hidden, 3, stride=2, act=nn.ReLU), ConvNorm(hidden, width, act=nn.ReLU)
    )


@register_model
def mobilenet_v4_conv_small(**overrides: Any) -> MobileNetV4:
    """MobileNetV4-Conv-S: 3.8 M parameters, 0.19 GMACs."""
    return MobileNetV4(**overrides)
