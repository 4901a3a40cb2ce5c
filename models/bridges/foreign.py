"""A network that knows nothing of lightmobile, made to look like one of its models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import nn

from lightmobile.errors import UsageError
from lightmobile.models.bridges.dataflow import fold_norms
from lightmobile.models.checkpoints import PREFIXES
from lightmobile.models.fusion import fuse
from lightmobile.models.key_map import KeyMap

__all__ = ["Foreign"]


class Foreign(nn.Module):
    """`network`, with one tensor or a tuple of tensors for its output, and a deployed form.

    Parameters
    ----------
    network
        Any module that takes images, [N, 3, H, W], on the CPU.
    name
        Of the model, for messages.
    input_size
        Height and width of the images.
    """

    # Checkpoints do not know of the wrapper. Where all keys begin with one of `PREFIXES`, that is
    # taken for a training script's, although it may be the network's own.
    key_maps: ClassVar[dict[str, KeyMap]] = {
        prefix: KeyMap({f"network.{prefix}": ""}) for prefix in ("", *PREFIXES)
    }

    def __init__(self, network: nn.Module, name: str, input_size: tuple[int, int]) -> None:
        super().__init__()
        self.network = network
        self.name = name
        self.input_size = input_size

    def forward(self, x: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """Return what the network answers for `x`; of a dictionary, the values in its order."""
        output = self.network(x)
        if isinstance(output, torch.Tensor):
            return output
        values = output.values() if isinstance(output, Mapping) else output
        if (
            isinstance(output, Mapping | tuple | list)
            and output
            and all(isinstance(value, torch.Tensor) for value in values)
        ):
            return tuple(values)
        raise UsageError(
            f"{self.name} answers {_kind(output)}",
            why="A file for phones answers with tensors",
            fix="Return a tensor, or a tuple, list or dictionary of tensors",
        )

    def check(self) -> None:
        """Run the network once.

        Raises
        ------
        UsageError
            It cannot take an image of this size, or answers something else than tensors.
        """
        try:
            with torch.no_grad():
                self.eval()(self.example())
        except UsageError:
            raise
        except Exception as error:
            height, width = self.input_size
            raise UsageError(
                f"{self.name} cannot take an input of {height}x{width}",
                why=f"{type(error).__name__}: {error}",
                fix="Give the size that it was made for: --input-size H W",
            ) from error

    def fused(self) -> Foreign:
        """Return a copy with the norms folded, wherever one is a convolution's only reader."""
        deployed = fold_norms(fuse(self.network), self.example())
        return Foreign(deployed, self.name, self.input_size)

    def example(self) -> torch.Tensor:
        """Return an image to run the network on."""
        some = next((p for p in self.parameters() if p.is_floating_point()), torch.empty(0))
        return torch.zeros(1, 3, *self.input_size, dtype=some.dtype, device=some.device)


def _kind(output: Any) -> str:
    if isinstance(output, Mapping | tuple | list):
        inner = output.values() if isinstance(output, Mapping) else output
        return f"a {type(output).__name__} of {sorted({type(each).__name__ for each in inner})}"
    return f"a {type(output).__name__}"
