"""A classifier without its head: what detectors and segmenters stand on."""

from __future__ import annotations

from typing import NamedTuple, Protocol, cast, runtime_checkable

import torch
from torch import nn

__all__ = ["Backbone", "Layout"]


class Layout(NamedTuple):
    """Where a network's features are.

    Attributes
    ----------
    taps
        Which entries of `stages` have features for outputs: the last of each resolution. -1 is
        the stem.
    stem, stages
        Names of the module that takes the images and of the `nn.Sequential` that follows it.
    """

    taps: tuple[int, ...]
    stem: str = "stem"
    stages: str = "stages"


@runtime_checkable
class HasBackbone(Protocol):
    """A network that says where its features are."""

    backbone_layout: Layout


class Backbone(nn.Module):
    """The features of a classifier: its stages' outputs, the finest first.

    Modules keep their names, so that the classifier's checkpoints load, their heads left out.

    Parameters
    ----------
    network
        A classifier with a ``backbone_layout``; its layers become this module's.

    Attributes
    ----------
    unused
        Names of the classifier's tensors that are not needed here.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        if not isinstance(network, HasBackbone):
            raise ValueError(f"{type(network).__name__} does not say where its features are")
        self.layout = network.backbone_layout
        stages = cast("nn.Sequential", network.get_submodule(self.layout.stages))
        self.add_module(self.layout.stem, network.get_submodule(self.layout.stem))
        self.add_module(self.layout.stages, stages[: max(self.layout.taps) + 1])
        self.key_maps = getattr(network, "key_maps", {})
        self.unused = network.state_dict().keys() - self.state_dict().keys()

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the features of images `x`, [N, 3, H, W], each [N, C, H / stride, W / stride]."""
        features = []
        steps = (
            self.get_submodule(self.layout.stem),
            *self.get_submodule(self.layout.stages).children(),
        )
        for index, step in enumerate(steps, -1):
            x = step(x)
            if index in self.layout.taps:
                features.append(x)
        return tuple(features)
