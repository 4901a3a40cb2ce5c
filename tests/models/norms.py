"""Norms whose statistics are not the trivial ones."""

import torch
from torch import nn


def randomize_norms(model: nn.Module, spread: float = 1.0) -> nn.Module:
    torch.manual_seed(1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 1 - spread / 2, 1 + spread / 2)
            nn.init.normal_(module.bias, std=spread)
            nn.init.normal_(module.running_mean, std=spread)
            nn.init.uniform_(module.running_var, 1 - spread / 2, 1 + spread / 2)
    return model
