"""A FasterNet small enough that what takes time in an export is everything else."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from lightmobile.models import fuse
from lightmobile.models.fasternet import FasterNet

# The last stage sees 2x2: its layers are not yet the head's.
SIZE = (64, 64)
OVERRIDES: dict[str, Any] = {
    "embed_dim": 8,
    "depths": [1, 1, 1, 1],
    "feature_dim": 16,
    "num_classes": 10,
}


def tiny_fasternet(**overrides: Any) -> nn.Module:
    """Return its deployed form, with seeded weights that keep the variance of activations."""
    torch.manual_seed(0)
    net = FasterNet(**{"act": "relu"} | OVERRIDES | overrides)
    for weight in net.parameters():
        if weight.dim() > 1:
            nn.init.kaiming_normal_(weight)
    return fuse(net)
