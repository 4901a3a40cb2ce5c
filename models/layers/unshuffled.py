"""ShuffleNetV2's stages without shuffles (Ma et al., ECCV 2018, arXiv:1807.11164).

A shuffle computes nothing: it decides which channels the next unit convolves, and that is known
before any image is. Here each unit reads its channels where they were made, and its weights are in
the order in which it finds them. What a later unit reads of a maker lies together there, so that
all reading is slices; and each channel is copied once, not once a unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, groupby
from typing import NamedTuple

import torch
from torch import nn

__all__ = ["UnshuffledStage", "reorder_inputs"]


class Channel(NamedTuple):
    """A channel by the branch that makes it."""

    branch: int
    number: int


class Piece(NamedTuple):
    """Adjacent channels of one branch."""

    branch: int
    start: int
    stop: int


class UnshuffledStage(nn.Module):
    """A unit that halves the resolution, and units that convolve one half of the channels each.

    Parameters
    ----------
    branches
        Deployed: both of the first unit, then that of each other. Their weights are reordered.
    order
        Which channel comes in each place of the stage's input.

    Attributes
    ----------
    order
        Which channel comes in each place of the stage's output.
    """

    def __init__(self, branches: Sequence[nn.Module], order: Sequence[int]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)
        self.reads: list[list[Piece]] = []
        outputs: list[list[int]] = [[] for _ in branches]
        inputs = [order, order]
        for wanted in _wanted(_convs(branches[0])[-1].out_channels, len(branches)):
            self.reads.append(_place(wanted, outputs))
            inputs.append(sorted(range(len(wanted)), key=wanted.__getitem__))
        self.order = inputs.pop()
        for branch, before, after in zip(branches, inputs, outputs, strict=True):
            reorder_inputs(branch, before)
            _reorder(_convs(branch)[-1], 0, after)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return [N, out, ceil(H / 2), ceil(W / 2)] of `x`, [N, in, H, W], both in their orders."""
        made = [branch(x) for branch in self.branches[:2]]
        for branch, pieces in zip(self.branches[2:], self.reads, strict=False):
            made.append(branch(_read(made, pieces)))
        return _read(made, self.reads[-1])


def reorder_inputs(module: nn.Module, order: Sequence[int]) -> None:
    """Change the weights of `module`, whose input has the channels in this order from now on.

    Depthwise convolutions at its beginning pass the order on to the next convolution.
    """
    for conv in _convs(module):
        if conv.groups == 1:
            _reorder(conv, 1, order)
            return
        _reorder(conv, 0, order)


def _wanted(half: int, branches: int) -> list[list[Channel]]:
    """Return what each branch after the first two reads, then the stage's output, all in order."""
    first, *others = ([Channel(branch, i) for i in range(half)] for branch in range(branches))
    kept, readings = first, []
    for made in others:
        channels = list(chain.from_iterable(zip(kept, made, strict=True)))
        kept = channels[:half]
        readings.append(channels[half:])
    readings[-1] = channels
    return readings


def _place(wanted: Sequence[Channel], outputs: list[list[int]]) -> list[Piece]:
    """Append the channels to the outputs of the branches that make them; return where they are."""
    pieces = []
    for branch, channels in groupby(sorted(wanted), key=lambda channel: channel.branch):
        start = len(outputs[branch])
        outputs[branch] += [channel.number for channel in channels]
        pieces.append(Piece(branch, start, len(outputs[branch])))
    return pieces


def _read(made: Sequence[torch.Tensor], pieces: Sequence[Piece]) -> torch.Tensor:
    parts = []
    for branch, start, stop in pieces:
        whole = made[branch]
        # A slice of everything would export to an alias, which XNNPACK does not take.
        parts.append(whole if stop - start == whole.shape[1] else whole[:, start:stop])
    return torch.cat(parts, 1)


def _convs(module: nn.Module) -> list[nn.Conv2d]:
    return [layer for layer in module.modules() if isinstance(layer, nn.Conv2d)]


@torch.no_grad()
def _reorder(conv: nn.Conv2d, dim: int, order: Sequence[int]) -> None:
    """Reorder the outputs (`dim` 0), the inputs (1), or both of a depthwise convolution (0)."""
    places = torch.tensor(order, device=conv.weight.device)
    conv.weight = nn.Parameter(conv.weight.index_select(dim, places))
    if dim == 0 and conv.bias is not None:
        conv.bias = nn.Parameter(conv.bias.index_select(0, places))
