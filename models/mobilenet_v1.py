"""MobileNetV1: Howard et al., "MobileNets".

arXiv:1704.04861. The paper draws ReLU; the published checkpoints, those of
https://github.com/tensorflow/models and timm's ``mobilenetv1_100``, have ReLU6, and so has this.
Paddings are symmetric, as in timm, not TensorFlow's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from lightmobile.models.backbone import Layout
from lightmobile.models.key_map import KeyMap
from lightmobile.models.layers.conv3x3 import MakeConv, depthwise_separable
from lightmobile.models.layers.conv_norm import ConvNorm
from lightmobile.models.layers.initialization import initialize_residual
from lightmobile.models.registry import register_model

__all__ = ["MobileNetV1"]


class MobileNetV1(nn.Module):
    """The MobileNet classifier: logits [N, num_classes] of images [N, 3, H, W].

    Parameters
    ----------
    conv
        Makes the convolutions after the stem; plain MobileNet's are depthwise separable.
    depths, widths
        Convolutions and channels of each stage; each stage but the first halves the resolution.
    stem_width
        Channels before the first stage.
    num_classes
        Length of the logits.
    """

    def __init__(
        self,
        conv: MakeConv = depthwise_separable,
        *,
        depths: Sequence[int] = (1, 2, 2, 6, 2),
        widths: Sequence[int] = (64, 128, 256, 512, 1024),
        stem_width: int = 32,
        num_classes: int = 1000,
    ) -> None:
        super().__init__()
        self.depths = tuple(depths)
        self.stem = ConvNorm(3, stem_width, 3, stride=2, act=nn.ReLU6)
        self.stages = nn.Sequential()
        channels = stem_width
        for index, (depth, width) in enumerate(zip(depths, widths, strict=True)):
            stage = nn.Sequential()
            for block in range(depth):
                stride = 2 if index and not block else 1
                stage.append(conv(channels, width, stride, nn.ReLU6))
                channels = width
            self.stages.append(stage)
        self.backbone_layout = Layout(taps=tuple(range(1, len(self.stages))))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(channels, num_classes)
        self.apply(initialize_residual)

    @property
    def key_maps(self) -> dict[str, KeyMap]:
        """Timm's names, for the plain network."""
        prefixes = {"stem.conv.": "conv_stem.", "stem.bn.": "bn1.", "head.": "classifier."}
        for stage, depth in enumerate(self.depths):
            for block in range(depth):
                ours, theirs = f"stages.{stage}.{block}.", f"blocks.{stage}.{block}."
                prefixes |= {ours + key: theirs + name for key, name in _TIMM_PAIR.items()}
        return {"timm": KeyMap(prefixes)}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits of images `x`."""
        return self.head(self.pool(self.stages(self.stem(x))).flatten(1))


_TIMM_PAIR = {
    "0.conv.": "conv_dw.",
    "0.bn.": "bn1.",
    "1.conv.": "conv_pw.",
    "1.bn.": "bn2.",
}


@register_model
def mobilenet_v1(**overrides: Any) -> MobileNetV1:
    """MobileNetV1: 4.2 M parameters, 0.57 GMACs."""
    return MobileNetV1(**overrides)
