"""MobileNetV2: Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks".

CVPR 2018, arXiv:1801.04381. Paddings are symmetric, as in timm and torchvision, not TensorFlow's.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from lightmobile.models.inverted_residual_net import InvertedResidualNet, Stage
from lightmobile.models.registry import register_model

__all__ = ["MobileNetV2"]

# The paper's table 2.
_STAGES = (
    Stage(1, 16, 1, 3, 1),
    Stage(2, 24, 6, 3, 2),
    Stage(3, 32, 6, 3, 2),
    Stage(4, 64, 6, 3, 2),
    Stage(3, 96, 6, 3, 1),
    Stage(3, 160, 6, 3, 2),
    Stage(1, 320, 6, 3, 1),
)


class MobileNetV2(InvertedResidualNet):
    """The MobileNetV2 classifier: logits [N, num_classes] of images [N, 3, H, W].

    Parameters
    ----------
    sizes
        Of `InvertedResidualNet`: depths, widths, stem_width, head_width, num_classes.
    """

    def __init__(self, **sizes: Any) -> None:
        super().__init__(_STAGES, act=nn.ReLU6, se=False, **sizes)


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
