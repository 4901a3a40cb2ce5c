"""RegNetY and RegNetZ.

RegNetY: Radosavovic et al., "Designing Network Design Spaces", CVPR 2020, arXiv:2003.13678.
RegNetZ: Dollár, Singh, Girshick, "Fast and Accurate Model Scaling", CVPR 2021, arXiv:2103.06877.
The authors' code: https://github.com/facebookresearch/pycls, and ClassyVision for RegNetZ.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from lightmobile.models.backbone import Layout
from lightmobile.models.key_map import KeyMap
from lightmobile.models.layers.conv_norm import ConvNorm
from lightmobile.models.layers.initialization import initialize_residual
from lightmobile.models.layers.squeeze_excite import SqueezeExcite
from lightmobile.models.registry import register_model
from lightmobile.models.scaling import UNSCALED, Factors, fit_groups

__all__ = ["RegNet"]


class Bottleneck(nn.Module):
    """1x1, grouped 3x3, squeeze-and-excitation, 1x1, and a shortcut around them.

    Parameters
    ----------
    in_channels, out_channels
        Of [N, in, H, W] and [N, out, ceil(H / stride), ceil(W / stride)].
    stride
        Of the 3x3 convolution.
    expansion
        Width of the 3x3 convolution, in multiples of `out_channels`.
    group_width
        Channels of one of its groups.
    linear
        RegNetZ's form: SiLU instead of ReLU, none after the shortcut, and no shortcut where the
        shape changes, in place of a projection.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        stride: int,
        expansion: int,
        group_width: int,
        linear: bool,
    ) -> None:
        super().__init__()
        hidden = out_channels * expansion
        if hidden % group_width:
            raise ValueError(f"groups of {group_width} do not divide {hidden} channels")
        act = nn.SiLU if linear else nn.ReLU
        groups = hidden // group_width
        self.conv1 = ConvNorm(in_channels, hidden, act=act)
        self.conv2 = ConvNorm(hidden, hidden, 3, stride=stride, groups=groups, act=act)
        self.se = SqueezeExcite(hidden, round(in_channels / 4), act)
        self.conv3 = ConvNorm(hidden, out_channels)
        self.downsample: nn.Module | None
        same_shape = stride == 1 and in_channels == out_channels
        if same_shape:
            self.downsample = nn.Identity()
        elif linear:
            self.downsample = None
        else:
            self.downsample = ConvNorm(in_channels, out_channels, stride=stride)
        self.act = nn.Identity() if linear else act()
        self.untrained_deviations = {"conv3.conv": 0.3} if same_shape else {}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return [N, out, H', W'] of `x`, [N, in, H, W]."""
        y = self.conv3(self.se(self.conv2(self.conv1(x))))
        return self.act(y if self.downsample is None else self.downsample(x) + y)


class RegNet(nn.Module):
    """The RegNet classifier: logits [N, num_classes] of images [N, 3, H, W].

    Parameters
    ----------
    depths, widths, group_widths
        Blocks, channels and channels of a group, of each stage.
    expansion, linear
        Form of the blocks, see `Bottleneck`.
    stem_width
        Channels before the first stage.
    num_classes
        Length of the logits.
    """

    def __init__(
        self,
        *,
        depths: Sequence[int],
        widths: Sequence[int],
        group_widths: Sequence[int],
        expansion: int = 1,
        linear: bool = False,
        stem_width: int = 32,
        num_classes: int = 1000,
    ) -> None:
        super().__init__()
        self.depths = tuple(depths)
        self.widths = tuple(widths)
        self.stem = ConvNorm(3, stem_width, 3, stride=2, act=nn.SiLU if linear else nn.ReLU)
        self.stages = nn.Sequential()
        channels = stem_width
        for depth, width, group_width in zip(depths, widths, group_widths, strict=True):
            stage = nn.Sequential()
            for index in range(depth):
                block = Bottleneck(
                    channels,
                    width,
                    stride=1 if index else 2,
                    expansion=expansion,
                    group_width=group_width,
                    linear=linear,
                )
                stage.append(block)
                channels = width
            self.stages.append(stage)
        self.backbone_layout = Layout(taps=tuple(range(len(self.stages))))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, num_classes)
        self.apply(initialize_residual)

    @property
    def key_maps(self) -> dict[str, KeyMap]:
        """Timm's names. The authors' checkpoints take images as BGR, so they are not read."""
        blocks = {
            f"stages.{stage}.{block}.": f"s{stage + 1}.b{block + 1}."
            for stage, depth in enumerate(self.depths)
            for block in range(depth)
        }
        return {"timm": KeyMap(blocks | {"fc.": "head.fc."})}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits of images `x`."""
        return self.fc(self.pool(self.stages(self.stem(x))).flatten(1))


def _regnet(
    factors: Factors,
    overrides: dict[str, Any],
    *,
    depth: int,
    w0: int,
    wa: float,
    wm: float,
    group_width: int,
    expansion: int = 1,
    linear: bool = False,
) -> RegNet:
    """Build the network of a RegNet's few parameters, scaled."""
    generated = _stage_widths(depth, w0, wa, wm)
    widths, groups = fit_groups(list(generated), expansion, [group_width] * len(generated))
    widths, groups = fit_groups(factors.widths(widths), expansion, factors.group_widths(groups))
    stages: dict[str, Any] = {
        "depths": factors.depths(generated.values()),
        "widths": widths,
        "group_widths": groups,
        "expansion": expansion,
        "linear": linear,
    }
    return RegNet(**(stages | overrides))


def _stage_widths(depth: int, w0: int, wa: float, wm: float) -> Counter[int]:
    """Return how many blocks have each width: ``w0 + wa * block``, rounded to ``w0 * wm^k``."""
    exponents = (round(math.log((w0 + wa * i) / w0) / math.log(wm)) for i in range(depth))
    return Counter(round(w0 * wm**exponent / 8) * 8 for exponent in exponents)


@register_model
def regnety_400mf(factors: Factors = UNSCALED, **overrides: Any) -> RegNet:
    """RegNetY-400MF: 4.3 M parameters, 0.40 GMACs."""
    return _regnet(factors, overrides, depth=16, w0=48, wa=27.89, wm=2.09, group_width=8)


@register_model
def regnety_600mf(factors: Factors = UNSCALED, **overrides: Any) -> RegNet:
    """RegNetY-600MF: 6.1 M parameters, 0.60 GMACs."""
    return _regnet(factors, overrides, depth=15, w0=48, wa=32.54, wm=2.32, group_width=16)


@register_model
def regnety_4gf(factors: Factors = UNSCALED, **overrides: Any) -> RegNet:
    """RegNetY-4.0GF: 20.6 M parameters, 3.97 GMACs."""
    return _regnet(factors, overrides, depth=22, w0=96, wa=31.41, wm=2.24, group_width=64)


@register_model
def regnetz_500mf(factors: Factors = UNSCALED, **overrides: Any) -> RegNet:
    """RegNetZ-500MF: 6.1 M parameters, 0.49 GMACs; without ClassyVision's convolutional head."""
    return _regnetz(factors, overrides, depth=21, w0=16, wa=10.7, wm=2.51, group_width=4)


@register_model
def regnetz_4gf(factors: Factors = UNSCALED, **overrides: Any) -> RegNet:
    """RegNetZ-4GF: 27.1 M parameters, 3.08 GMACs at 224 pixels."""
    return _regnetz(factors, overrides, depth=28, w0=48, wa=14.5, wm=2.226, group_width=8)


def _regnetz(factors: Factors, overrides: dict[str, Any], **variant: Any) -> RegNet:
    return _regnet(factors, overrides, **variant, expansion=4, linear=True)
