"""VGG-16 for CIFAR-10, as HetConv's experiments have it.

That is the network of
https://github.com/irvinxav/Efficient-HetConv-Heterogeneous-Kernel-Based-Convolutions; VGG is that
of Simonyan and Zisserman, ICLR 2015, arXiv:1409.1556.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from lightmobile.models.backbone import Layout
from lightmobile.models.layers.conv3x3 import MakeConv, standard
from lightmobile.models.layers.conv_norm import ConvNorm
from lightmobile.models.layers.initialization import initialize_residual
from lightmobile.models.layers.squeeze_excite import SqueezeExcite

__all__ = ["VGG16"]

_SE_REDUCTION = 8


class VGG16(nn.Module):
    """VGG-16 for CIFAR-10: logits [N, num_classes] of images [N, 3, H, W].

    The first convolution is a standard one, `conv` makes the other twelve. Each stage but the first
    begins with a max pool, so that its output is the last of its resolution.

    Parameters
    ----------
    conv
        Makes the 3x3 convolutions.
    widths
        Channels of each convolution, by stage.
    se
        Squeeze-and-excitation, reduced by 8, after each of the twelve (the place is ours).
    num_classes
        Length of the logits.
    """

    def __init__(
        self,
        conv: MakeConv = standard,
        *,
        widths: Sequence[Sequence[int]] = (
            (64, 64),
            (128, 128),
            (256, 256, 256),
            (512, 512, 512),
            (512, 512, 512),
        ),
        se: bool = False,
        num_classes: int = 10,
    ) -> None:
        super().__init__()
        channels = widths[0][0]
        # The norms make these biases superfluous, but the source has them.
        self.stem = ConvNorm(3, channels, 3, bias=True, act=nn.ReLU)
        self.stages = nn.Sequential()
        for index, stage_widths in enumerate(widths):
            stage = nn.Sequential(nn.MaxPool2d(2)) if index else nn.Sequential()
            for width in stage_widths if index else stage_widths[1:]:
                stage.append(conv(channels, width))
                if se:
                    stage.append(SqueezeExcite(width, width // _SE_REDUCTION))
                channels = width
            self.stages.append(stage)
        self.backbone_layout = Layout(taps=tuple(range(len(self.stages))))
        # Global pooling does nothing at 32x32, and lets other sizes in.
        self.pool = nn.Sequential(nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(1))
        self.hidden = ConvNorm(channels, channels, bias=True, act=nn.ReLU)
        self.head = nn.Linear(channels, num_classes)
        self.apply(initialize_residual)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits of images `x`."""
        return self.head(self.hidden(self.pool(self.stages(self.stem(x)))).flatten(1))
