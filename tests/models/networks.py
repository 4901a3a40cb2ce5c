"""Small networks whose norms have other statistics than the trivial ones."""

from typing import Any

import torch
from torch import nn

from lightmobile.models import create_model
from tests.models.norms import randomize_norms

TINY = {"embed_dim": 16, "depths": (1, 2), "feature_dim": 32, "num_classes": 10}


def tiny(name: str = "fasternet_t0", **overrides: Any) -> nn.Module:
    torch.manual_seed(0)
    return randomize_norms(create_model(name, **(TINY | overrides))).eval()


def images(count: int = 2, size: int = 32) -> torch.Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(1))
