"""A tiny member of each family of the zoo: at most 32 channels, and one block a stage."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from lightmobile.models import list_models, model_info

ONE_EACH = (1, 1, 1, 1)
REGNET: dict[str, Any] = {
    "depths": ONE_EACH,
    "widths": (8, 16, 24, 32),
    "group_widths": (8, 8, 8, 8),
    "stem_width": 8,
}

MEMBERS: dict[str, dict[str, Any]] = {
    "efficientnet_b0": {
        "depths": (1,) * 7,
        "widths": (8, 8, 16, 16, 24, 24, 32),
        "stem_width": 8,
        "head_width": 32,
    },
    "falconnet": {"depths": ONE_EACH, "width": 4, "head": 32},
    "fasternet_t0": {"depths": ONE_EACH, "embed_dim": 4, "feature_dim": 32},
    "hetconv_vgg16_p4": {"widths": ((8, 8), (16,), (32,))},
    "mobilenet_v1": {"depths": (1, 1, 1), "widths": (8, 16, 32), "stem_width": 8},
    "mobilenet_v2": {
        "depths": (1,) * 7,
        "widths": (8, 8, 16, 16, 24, 24, 32),
        "stem_width": 8,
        "head_width": 32,
    },
    "mobilenet_v4_conv_small": {
        "depths": (1, 1),
        "widths": (8, 16, 24, 32),
        "stem_width": 8,
        "head_widths": (32, 32),
    },
    "mobilevit_xxs": {
        "depths": ONE_EACH,
        "widths": (8, 8, 8, 16, 16),
        "dims": (8, 8, 16),
        "stem_width": 8,
        "head_width": 32,
    },
    "regnety_400mf": REGNET,
    "regnetz_500mf": REGNET,
    "resnet50": {"depths": (1, 1), "width": 4},
    "shufflenet_v2_x1_5": {
        # The first unit halves the resolution, the second is the block.
        "depths": (2, 2),
        "widths": (16, 32),
        "stem_width": 8,
        "head_width": 32,
    },
    "starnet_s1": {"depths": ONE_EACH, "base_width": 4},
    "vanillanet_5": {"dims": (4, 8, 16, 32), "strides": (2, 2, 2)},
}


def one_of_each_family(names: Iterable[str]) -> list[Any]:
    """Return parameters of a test that takes seconds a model: others wait for the night."""
    return [
        pytest.param(name, marks=[] if name in MEMBERS else pytest.mark.nightly) for name in names
    ]


def each_at_full_size(names: Iterable[str]) -> list[Any]:
    """Return parameters of a test that makes all weights of each model, by its name.

    Large ones wait for the night, unless they stand for their family.
    """
    return [pytest.param(name, marks=_marks(name)) for name in names]


def _marks(name: str) -> list[Any]:
    import torch

    from lightmobile.models.registry import build

    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in build(name, {}).parameters())
    if count < 10e6:
        return []
    return [pytest.mark.slow] if name in MEMBERS else [pytest.mark.nightly]


def families() -> set[str]:
    """Return the families of all registered models."""
    return {model_info(name).family for name in list_models()}
