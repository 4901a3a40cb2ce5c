"""Small networks, and norms whose statistics are not the trivial ones."""

from typing import Any

import torch
from torch import nn

from lightmobile.models import create_model

TINY = {"embed_dim": 16, "depths": (1, 2), "feature_dim": 32, "num_classes": 10}


def tiny(name: str = "fasternet_t0", **overrides: Any) -> nn.Module:
    torch.manual_seed(0)
    model = create_model(name, **(TINY | overrides))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return model.eval()


def images(count: int = 2, size: int = 32) -> torch.Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(1))
