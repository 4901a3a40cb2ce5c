"""ResNet: He et al., "Deep Residual Learning for Image Recognition".

CVPR 2016, arXiv:1512.03385. A bottleneck has its stride in the 3x3 convolution, as in torchvision,
timm and https://github.com/facebookresearch/pycls, not in the paper's first 1x1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import nn

from lightmobile.models.backbone import Layout
from lightmobile.models.key_map import KeyMap
from lightmobile.models.layers.conv3x3 import MakeConv, standard
from lightmobile.models.layers.conv_norm import ConvNorm
from lightmobile.models.layers.initialization import initialize_residual
from lightmobile.models.layers.squeeze_excite import SqueezeExcite
from lightmobile.models.registry import register_model

__all__ = ["ResNet"]

_SE_REDUCTION = 8


class ResidualBlock(nn.Module):
    """``relu(shortcut(x) + branch(x))``.

    Where the shape changes, the shortcut is a 1x1 convolution and its norm, on CIFAR-10 too (ours).

    Parameters
    ----------
    channels, width
        Of [N, channels, H, W] and [N, width, ceil(H / stride), ceil(W / stride)].
    branch
        From one to the other.
    stride
        Of the shortcut.
    se
        Squeeze-and-excitation, reduced by 8, at the end of the branch.
    """

    # Of bottlenecks: a small change to what passes by; see `untrained`.
    untrained_deviations: ClassVar[dict[str, float]] = {"branch.2.conv": 0.2}

    def __init__(
        self, channels: int, width: int, branch: nn.Sequential, *, stride: int, se: bool
    ) -> None:
        super().__init__()
        self.branch = branch
        if se:
            branch.append(SqueezeExcite(width, width // _SE_REDUCTION))
        same = stride == 1 and channels == width
        self.shortcut = nn.Identity() if same else ConvNorm(channels, width, stride=stride)
        self.act = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the features of `x`."""
        return self.act(self.shortcut(x) + self.branch(x))


class ResNet(nn.Module):
    """The ResNet classifier: logits [N, num_classes] of images [N, 3, H, W].

    Parameters
    ----------
    conv
        Makes the 3x3 convolutions, the stem apart.
    depths
        Blocks of each stage.
    width
        Channels of the stem; each stage after the first doubles them.
    bottleneck
        Blocks of 1x1, 3x3 and 1x1 to four times the width; else of two 3x3.
    small
        For images of 32x32: the stem is 3x3 and keeps the resolution; else it is 7x7, and a max
        pool follows.
    num_classes
        Length of the logits.
    se
        See `ResidualBlock`.
    """

    def __init__(
        self,
        conv: MakeConv = standard,
        *,
        depths: Sequence[int],
        width: int = 64,
        bottleneck: bool = False,
        small: bool = False,
        num_classes: int = 1000,
        se: bool = False,
    ) -> None:
        super().__init__()
        self.depths = tuple(depths)
        if small:
            self.stem = nn.Sequential(ConvNorm(3, width, 3, act=nn.ReLU))
        else:
            stem = ConvNorm(3, width, 7, stride=2, act=nn.ReLU)
            self.stem = nn.Sequential(stem, nn.MaxPool2d(3, stride=2, padding=1))
        self.stages = nn.Sequential()
        channels = width
        for index, depth in enumerate(depths):
            inner = width * 2**index
            out = 4 * inner if bottleneck else inner
            stage = nn.Sequential()
            for block in range(depth):
                stride = 2 if index and not block else 1
                branch = (_deep if bottleneck else _basic)(channels, inner, stride, conv)
                stage.append(ResidualBlock(channels, out, branch, stride=stride, se=se))
                channels = out
            self.stages.append(stage)
        self.backbone_layout = Layout(taps=tuple(range(len(self.stages))))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(channels, num_classes)
        self.apply(initialize_residual)

    @property
    def key_maps(self) -> dict[str, KeyMap]:
        """Names that timm and torchvision share, for networks of standard convolutions."""
        prefixes = {"stem.0.conv.": "conv1.", "stem.0.bn.": "bn1.", "head.": "fc."}
        for stage, depth in enumerate(self.depths):
            for block in range(depth):
                ours, theirs = f"stages.{stage}.{block}.", f"layer{stage + 1}.{block}."
                prefixes |= {ours + key: theirs + name for key, name in _TIMM_BLOCK.items()}
        return {"timm": KeyMap(prefixes)}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits of images `x`."""
        return self.head(self.pool(self.stages(self.stem(x))).flatten(1))


_TIMM_BLOCK = {
    "branch.0.conv.": "conv1.",
    "branch.0.bn.": "bn1.",
    "branch.1.conv.": "conv2.",
    "branch.1.bn.": "bn2.",
    "branch.2.conv.": "conv3.",
    "branch.2.bn.": "bn3.",
    "shortcut.conv.": "downsample.0.",
    "shortcut.bn.": "downsample.1.",
}


def _basic(channels: int, width: int, stride: int, conv: MakeConv) -> nn.Sequential:
    return nn.Sequential(conv(channels, width, stride), conv(width, width, act=None))


def _deep(channels: int, width: int, stride: int, conv: MakeConv) -> nn.Sequential:
    return nn.Sequential(
        ConvNorm(channels, width, act=nn.ReLU),
        conv(width, width, stride),
        ConvNorm(width, 4 * width),
    )


@register_model
def resnet50(**overrides: Any) -> ResNet:
    """ResNet-50: 25.6 M parameters, 4.1 GMACs."""
    variant: dict[str, Any] = {"depths": (3, 4, 6, 3), "bottleneck": True}
    return ResNet(**(variant | overrides))
