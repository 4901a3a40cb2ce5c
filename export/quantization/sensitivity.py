"""What quantizing each layer alone costs, simulated in PyTorch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from lightmobile.export.precision import PRECISIONS
from lightmobile.export.quantization.layers import LayerError
from lightmobile.export.verification.metrics import sqnr_db

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["layer_errors"]

_BITS = {"int8": 8, "int16": 16}
_PALETTES = {"lut4": 4, "lut6": 6}
_LLOYD_STEPS = 10


@torch.inference_mode()
def layer_errors(
    module: nn.Module,
    precision: str,
    images: NDArray[np.float32],
    calibration: Iterable[NDArray[np.float32]],
) -> list[LayerError]:
    """Quantize one layer after the other; return their errors, the largest first.

    Layers are the modules that have none inside, with weights or without. The weights are rounded
    by output channel, or to the nearest of a palette; what goes into the layer and what comes out
    to the ranges that `calibration` shows. An activation between two layers is in floating point
    only where both are, so it counts for both. The errors of separate layers add up as noise does:
    the sum of their powers is about the error of the whole, or up to twice as much.

    Parameters
    ----------
    module
        In its deployed form, eval mode; the same afterwards.
    precision
        One of `PRECISIONS` that is quantized.
    images
        [N, 3, H, W], other ones than those of the calibration.
    calibration
        Batches [M, 3, H, W]; not looked at where activations stay in floating point.
    """
    facts = PRECISIONS[precision]
    bits = _BITS.get(facts.activations)
    layers = _layers(module, weights_only=bits is None)
    ranges = _ranges(module, layers.values(), calibration) if bits else {}
    inputs = torch.from_numpy(images)
    expected = _outputs(module, inputs)
    errors = []
    for name, layer in layers.items():
        with _quantized(layer, facts.weights, ranges.get(layer), bits):
            measured = _outputs(module, inputs)
        worst = min(sqnr_db(a, b) for a, b in zip(expected, measured, strict=True))
        errors.append(LayerError(name, _kind(layer), worst))
    return sorted(errors, key=lambda error: error.sqnr_db)


def _layers(module: nn.Module, *, weights_only: bool) -> dict[str, nn.Module]:
    return {
        name: layer
        for name, layer in module.named_modules()
        if (hasattr(layer, "weight") or not weights_only)
        and not any(layer.children())
        and not isinstance(layer, nn.Identity | nn.Dropout)
    }


def _kind(layer: nn.Module) -> str:
    depthwise = isinstance(layer, nn.Conv2d) and 1 < layer.groups == layer.in_channels
    return f"{'depthwise ' if depthwise else ''}{type(layer).__name__}"


def _outputs(module: nn.Module, inputs: torch.Tensor) -> tuple[NDArray[Any], ...]:
    outputs = module(inputs)
    return tuple(o.numpy() for o in (outputs if isinstance(outputs, tuple) else (outputs,)))


class _Range:
    """The least and the greatest number seen, and zero, which padding is made of."""

    def __init__(self) -> None:
        self.low = self.high = 0.0

    def see(self, x: torch.Tensor) -> None:
        low, high = x.aminmax()
        self.low, self.high = min(self.low, low.item()), max(self.high, high.item())

    def rounded(self, x: torch.Tensor, bits: int) -> torch.Tensor:
        scale = max((self.high - self.low) / (2**bits - 1), 1e-12)
        lowest = round(self.low / scale)
        levels = (x / scale).round().clamp(lowest, lowest + 2**bits - 1)
        return torch.mul(levels, scale)


def _ranges(
    module: nn.Module, layers: Iterable[nn.Module], calibration: Iterable[NDArray[np.float32]]
) -> dict[nn.Module, tuple[_Range, _Range]]:
    """Return what goes into each layer and what comes out."""
    ranges = {layer: (_Range(), _Range()) for layer in layers}

    def see(layer: nn.Module, args: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        ranges[layer][0].see(args[0])
        ranges[layer][1].see(output)

    hooks = [layer.register_forward_hook(see) for layer in ranges]
    for batch in calibration:
        module(torch.from_numpy(batch))
    for hook in hooks:
        hook.remove()
    return ranges


@contextmanager
def _quantized(
    layer: nn.Module, weights: str, ranges: tuple[_Range, _Range] | None, bits: int | None
) -> Iterator[None]:
    hooks = []
    if ranges and bits:
        before, after = ranges
        hooks = [
            layer.register_forward_pre_hook(lambda _, args: (before.rounded(args[0], bits),)),
            layer.register_forward_hook(lambda _, __, output: after.rounded(output, bits)),
        ]
    original = getattr(layer, "weight", None)
    if isinstance(original, nn.Parameter) and original.ndim > 1:
        rounded = _palettized(original, weights) if weights in _PALETTES else _rounded(original)
        layer.weight = nn.Parameter(rounded, requires_grad=False)
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        if original is not None:
            layer.weight = original


def _rounded(weight: torch.Tensor) -> torch.Tensor:
    """Round to 255 symmetric levels an output channel."""
    scale = weight.abs().flatten(1).amax(1).clamp(min=1e-12) / 127
    scale = scale.reshape(-1, *[1] * (weight.ndim - 1))
    return (weight / scale).round() * scale


def _palettized(weight: torch.Tensor, palette: str) -> torch.Tensor:
    """Take the nearest of the k-means of all weights (Lloyd's steps from their quantiles)."""
    values = weight.flatten().sort().values
    count = 2 ** _PALETTES[palette]
    places = ((torch.arange(count) + 0.5) / count * len(values)).long()
    entries = values[places]
    for _ in range(_LLOYD_STEPS):
        nearest = torch.bucketize(values, (entries[1:] + entries[:-1]) / 2)
        sums = torch.zeros(count).index_add(0, nearest, values)
        counts = torch.bincount(nearest, minlength=count)
        entries = torch.where(counts > 0, sums / counts.clamp(min=1), entries)
    return entries[torch.bucketize(weight, (entries[1:] + entries[:-1]) / 2)]
