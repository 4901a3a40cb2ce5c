"""Untrained weights for networks that were built with weights, by code that is not ours."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

__all__ = ["redraw"]

_NORMS = nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm


@torch.no_grad()
def redraw(model: nn.Module, seed: int) -> None:
    """Replace what `model` has drawn by what every machine draws alike, in float64.

    A norm becomes PyTorch's new one, also where its author begins with zeros, which would hide the
    branch before it. Of the other parameters those of one value stay; the rest keep their
    deviation, to one digit.
    """
    model.double()
    for path, module in model.named_modules():
        if isinstance(module, _NORMS):
            module.reset_parameters()
            continue
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.is_floating_point() and (parameter != parameter.flatten()[:1]).any():
                bits = np.random.PCG64([seed, *f"{path}.{name}".encode()])
                uniform = 2 * np.random.Generator(bits).random(tuple(parameter.shape)) - 1
                half_width = float(f"{parameter.std().item():.1g}") * 3**0.5
                parameter.copy_(torch.from_numpy(uniform * half_width))
