"""EfficientNet: Tan and Le, "EfficientNet: Rethinking Model Scaling for CNNs".

ICML 2019, arXiv:1905.11946. Paddings are symmetric, as in https://github.com/facebookresearch/pycls
and timm, not TensorFlow's.
"""

from __future__ import annotations

import math
from typing import Any

from torch import nn

from lightmobile.models.inverted_residual_net import (
    HEAD_WIDTH,
    STEM_WIDTH,
    InvertedResidualNet,
    Stage,
)
from lightmobile.models.registry import register_model
from lightmobile.models.scaling import UNSCALED, Factors

__all__ = ["EfficientNet"]

# The paper's table 1.
_B0 = (
    Stage(1, 16, 1, 3, 1),
    Stage(2, 24, 6, 3, 2),
    Stage(2, 40, 6, 5, 2),
    Stage(3, 80, 6, 3, 2),
    Stage(3, 112, 6, 5, 1),
    Stage(4, 192, 6, 5, 2),
    Stage(1, 320, 6, 3, 1),
)


class EfficientNet(InvertedResidualNet):
    """The EfficientNet classifier: logits [N, num_classes] of images [N, 3, H, W].

    The authors of pycls take images as BGR, so their checkpoints are not read.

    Parameters
    ----------
    sizes
        Of `InvertedResidualNet`: depths, widths, stem_width, head_width, num_classes.
    """

    def __init__(self, **sizes: Any) -> None:
        super().__init__(_B0, act=nn.SiLU, se=True, **sizes)


def _efficientnet(
    factors: Factors, overrides: dict[str, Any], *, width: float = 1.0, depth: float = 1.0
) -> EfficientNet:
    """Build B0 grown by the paper's compound rule, then scaled by `factors`."""
    stem, *widths, head = factors.widths(
        _round_channels(channels * width)
        for channels in (STEM_WIDTH, *(stage.width for stage in _B0), HEAD_WIDTH)
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
