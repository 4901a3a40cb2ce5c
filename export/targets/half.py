"""A float16 form of a module that keeps what float16 cannot: long sums after the global pooling.

XNNPACK's float16 kernels also add up in float16 on processors with such arithmetic, and the error
grows with the length of the sum. The layers that see one number a channel have the longest sums
(1280 for FasterNet's classifier) and next to no share of the time. On an AVX-512 processor with
FP16, FasterNet-T0 keeps 39 dB with them in float16, and 50 dB with them in float32.
"""

from __future__ import annotations

import copy
from functools import partial

import torch
from torch import nn

__all__ = ["HalfInside", "head_layers"]


class HalfInside(nn.Module):
    """A float16 copy of a module, between a float32 input and float32 outputs.

    Parameters
    ----------
    module
        In its deployed form.
    example
        Its input, [N, 3, H, W]; only the shape matters.

    Attributes
    ----------
    wide
        Names of the layers that stay in float32.
    """

    def __init__(self, module: nn.Module, example: torch.Tensor) -> None:
        super().__init__()
        self.wide = head_layers(module, example)
        self.body = copy.deepcopy(module).half()
        for name in self.wide:
            parent, _, child = name.rpartition(".")
            # The original has the weights before they were rounded.
            layer = copy.deepcopy(module.get_submodule(name))
            setattr(self.body.get_submodule(parent), child, _Wide(layer))

    def forward(self, image: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """Return the module's outputs, in float32."""
        outputs = self.body(image.half())
        if isinstance(outputs, torch.Tensor):
            return outputs.float()
        return tuple(output.float() for output in outputs)


class _Wide(nn.Module):
    """A float32 layer of the head; all that follows it is float32 too."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the layer's output, in float32."""
        wide: torch.Tensor = self.layer(x.float())  # a cast for the first layer only
        return wide


def head_layers(module: nn.Module, example: torch.Tensor) -> list[str]:
    """Return the last convolutions and linear layers, as far as they give one number a channel.

    Parameters
    ----------
    example
        The module's input, [N, 3, H, W]; only the shape matters.
    """
    head: list[str] = []
    skeleton = copy.deepcopy(module).to("meta")
    for name, layer in skeleton.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(partial(_note, head, name))
    skeleton(example.to("meta"))
    return head


def _note(head: list[str], name: str, _layer: nn.Module, _in: object, out: torch.Tensor) -> None:
    if out.shape[2:].numel() == 1:
        head.append(name)
    else:
        # What came before, as in squeeze and excitation, is no head.
        head.clear()
