"""Initialisations before training, for ``apply``; the meta device has nothing to initialise."""

from __future__ import annotations

import math

from torch import nn

__all__ = ["initialize_residual", "initialize_truncated"]


def initialize_residual(module: nn.Module) -> None:
    """Draw the weights of residual networks; norms and convolutions' biases keep PyTorch's.

    A convolution's deviation is ``sqrt(2 / (kernel area * output channels))``, whatever its groups
    (He et al., ICCV 2015, arXiv:1502.01852, and https://github.com/facebookresearch/pycls); a
    linear layer's is 0.01.
    """
    if not isinstance(module, nn.Conv2d | nn.Linear) or module.weight.is_meta:
        return  # The meta device has nothing to draw, and is slow at it.
    if isinstance(module, nn.Conv2d):
        fan_out = math.prod(module.kernel_size) * module.out_channels
        nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out))
    else:
        nn.init.normal_(module.weight, std=0.01)
        nn.init.zeros_(module.bias)


def initialize_truncated(module: nn.Module) -> None:
    """Draw weights of deviation 0.02, and zero the biases; norms keep PyTorch's."""
    if isinstance(module, nn.Conv2d | nn.Linear) and not module.weight.is_meta:
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
