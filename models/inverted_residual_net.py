"""The network that MobileNetV2 and EfficientNet are: seven stages of inverted residuals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import nn

from lightmobile.models.backbone import Layout
from lightmobile.models.key_map import KeyMap
from lightmobile.models.layers.conv_norm import ConvNorm
from lightmobile.models.layers.initialization import initialize_residual
from lightmobile.models.layers.inverted_residual import InvertedResidual

__all__ = ["HEAD_WIDTH", "STEM_WIDTH", "InvertedResidualNet", "Stage"]

STEM_WIDTH = 32
HEAD_WIDTH = 1280


class Stage(NamedTuple):
    """A row of a paper's table."""

    depth: int
    width: int
    expansion: int
    kernel_size: int
    stride: int


class InvertedResidualNet(nn.Module):
    """A classifier of inverted residuals: logits [N, num_classes] of images [N, 3, H, W].

    Parameters
    ----------
    table
        Its seven stages; the first block of each takes the stride.
    act, se
        Of the blocks, see `InvertedResidual`; the stem and the head have the same activation.
    depths, widths
        Blocks and channels of each stage, in place of the table's.
    stem_width, head_width
        Channels before the first and after the last stage.
    num_classes
        Length of the logits.
    """

    def __init__(
        self,
        table: Sequence[Stage],
        *,
        act: Callable[[], nn.Module],
        se: bool,
        depths: Sequence[int] | None = None,
        widths: Sequence[int] | None = None,
        stem_width: int = STEM_WIDTH,
        head_width: int = HEAD_WIDTH,
        num_classes: int = 1000,
    ) -> None:
        super().__init__()
        self.depths = tuple((row.depth for row in table) if depths is None else depths)
        self.widths = tuple((row.width for row in table) if widths is None else widths)
        self.stem = ConvNorm(3, stem_width, 3, stride=2, act=act)
        self.stages = nn.Sequential()
        channels = stem_width
        for row, depth, width in zip(table, self.depths, self.widths, strict=True):
            stage = nn.Sequential()
            for index in range(depth):
                block = InvertedResidual(
                    channels,
                    width,
                    expansion=row.expansion,
                    kernel_size=row.kernel_size,
                    stride=1 if index else row.stride,
                    act=act,
                    se=se,
                )
                stage.append(block)
                channels = width
            self.stages.append(stage)
        self.backbone_layout = Layout(taps=(1, 2, 4, 6))
        self.head = ConvNorm(channels, head_width, act=act)
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
        for name, block in self.stages.named_modules():
            if isinstance(block, InvertedResidual):
                ours, theirs = f"stages.{name}.", f"blocks.{name}."
                prefixes |= {ours + key: theirs + other for key, other in block.timm_names.items()}
        return {"timm": KeyMap(prefixes)}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits of images `x`."""
        return self.fc(self.pool(self.head(self.stages(self.stem(x)))).flatten(1))
