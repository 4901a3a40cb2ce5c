"""StarNet: Ma et al., "Rewrite the Stars", CVPR 2024, arXiv:2403.19967.

The authors' code: https://github.com/ma-xu/Rewrite-the-Stars. Modules are named as there, and as in
timm, but for convolutions that stand alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import nn

from lightmobile.models.backbone import Layout
from lightmobile.models.key_map import KeyMap
from lightmobile.models.layers.conv_norm import ConvNorm
from lightmobile.models.layers.fold import fold_norm_before
from lightmobile.models.layers.initialization import initialize_truncated
from lightmobile.models.registry import register_model

__all__ = ["StarNet"]

_STEM_WIDTH = 32


class StarBlock(nn.Module):
    """``x + dw(g(relu6(f1(dw(x))) * f2(dw(x))))``: the star is the product in the middle.

    Parameters
    ----------
    channels
        Of the input and of the output, [N, C, H, W].
    mlp_ratio
        Width of the product, in multiples of `channels`.
    """

    # A product amplifies contrast as it is; where ReLU6 clips, less. See `untrained`.
    untrained_deviations: ClassVar[dict[str, float]] = {"f1": 3.0, "dwconv2": 0.3}

    def __init__(self, channels: int, mlp_ratio: int) -> None:
        super().__init__()
        hidden = channels * mlp_ratio
        self.dwconv = ConvNorm(channels, channels, 7, groups=channels, bias=True)
        self.f1 = nn.Conv2d(channels, hidden, 1)
        self.f2 = nn.Conv2d(channels, hidden, 1)
        self.act = nn.ReLU6()
        self.g = ConvNorm(hidden, channels, bias=True)
        self.dwconv2 = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return [N, C, H, W] of `x`, [N, C, H, W]."""
        y = self.dwconv(x)
        y = self.act(self.f1(y)) * self.f2(y)
        return x + self.dwconv2(self.g(y))


class Head(nn.Module):
    """Norm, global average, linear layer."""

    def __init__(self, norm: nn.Module, fc: nn.Linear) -> None:
        super().__init__()
        self.norm = norm
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = fc

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return [N, num_classes] of `x`, [N, C, H, W]."""
        return self.fc(self.pool(self.norm(x)).flatten(1))

    def fused(self) -> Head:
        """Return the same with the norm in the linear layer: a mean of affine is affine of it."""
        return Head(nn.Identity(), fold_norm_before(self.norm, self.fc))


class StarNet(nn.Module):
    """The StarNet classifier: logits [N, num_classes] of images [N, 3, H, W].

    Parameters
    ----------
    base_width
        Channels of the first stage; each following stage doubles them.
    depths
        Blocks of each stage, after the convolution that halves its resolution.
    mlp_ratio
        Width of the products, in multiples of a stage's channels.
    num_classes
        Length of the logits.
    """

    def __init__(
        self,
        *,
        base_width: int,
        depths: Sequence[int],
        mlp_ratio: int = 4,
        num_classes: int = 1000,
    ) -> None:
        super().__init__()
        self.depths = tuple(depths)
        self.stem = ConvNorm(3, _STEM_WIDTH, 3, stride=2, bias=True, act=nn.ReLU6)
        self.stages = nn.Sequential()
        channels = _STEM_WIDTH
        for index, depth in enumerate(depths):
            width = base_width * 2**index
            downsample = ConvNorm(channels, width, 3, stride=2, bias=True)
            blocks = (StarBlock(width, mlp_ratio) for _ in range(depth))
            self.stages.append(nn.Sequential(downsample, *blocks))
            channels = width
        self.backbone_layout = Layout(taps=tuple(range(len(self.stages))))
        self.head = Head(nn.BatchNorm2d(channels), nn.Linear(channels, num_classes))
        self.apply(initialize_truncated)

    @property
    def key_maps(self) -> dict[str, KeyMap]:
        """The authors' names, which are timm's too."""
        lonely = {
            f"stages.{stage}.{block}.{conv}.": f"stages.{stage}.{block}.{conv}.conv."
            for stage, depth in enumerate(self.depths)
            for block in range(1, depth + 1)
            for conv in ("f1", "f2", "dwconv2")
        }
        others = {"stem.": "stem.0.", "head.norm.": "norm.", "head.fc.": "head."}
        return {"timm": KeyMap(lonely | others)}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits of images `x`."""
        return self.head(self.stages(self.stem(x)))


def _starnet(overrides: dict[str, Any], **variant: Any) -> StarNet:
    return StarNet(**(variant | overrides))


@register_model
def starnet_s1(**overrides: Any) -> StarNet:
    """StarNet-S1: 2.9 M parameters, 0.42 GMACs."""
    return _starnet(overrides, base_width=24, depths=(2, 2, 8, 3))


@register_model
def starnet_s2(**overrides: Any) -> StarNet:
    """StarNet-S2: 3.7 M parameters, 0.55 GMACs."""
    return _starnet(overrides, base_width=32, depths=(1, 2, 6, 2))


@register_model
def starnet_s3(**overrides: Any) -> StarNet:
    """StarNet-S3: 5.8 M parameters, 0.76 GMACs."""
    return _starnet(overrides, base_width=32, depths=(2, 2, 8, 4))


@register_model
def starnet_s4(**overrides: Any) -> StarNet:
    """StarNet-S4: 7.5 M parameters, 1.05 GMACs."""
    return _starnet(overrides, base_width=32, depths=(3, 3, 12, 5))


@register_model
def starnet_s050(**overrides: Any) -> StarNet:
    """StarNet at 0.5 M parameters, 0.09 GMACs."""
    return _starnet(overrides, base_width=16, depths=(1, 1, 3, 1), mlp_ratio=3)


@register_model
def starnet_s100(**overrides: Any) -> StarNet:
    """StarNet at 1.0 M parameters, 0.19 GMACs."""
    return _starnet(overrides, base_width=20, depths=(1, 2, 4, 1))


@register_model
def starnet_s150(**overrides: Any) -> StarNet:
    """StarNet at 1.6 M parameters, 0.23 GMACs."""
    return _starnet(overrides, base_width=24, depths=(1, 2, 4, 2), mlp_ratio=3)
