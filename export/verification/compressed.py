"""Constants that an artifact keeps on a grid: quantized by a scale, or taken from a palette."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

__all__ = ["Compressed", "palettized", "quantized"]

# Of a value: some files keep scales and palettes in float16.
_SLACK = 1e-3


@dataclass(frozen=True)
class Compressed:
    """Values on a grid, and what may have been rounded to each.

    Attributes
    ----------
    dense
        The values that the artifact computes with, float32.
    low, high
        Between them lies whatever rounds to the value.
    """

    dense: Array
    low: Array
    high: Array

    def squeezed(self) -> Compressed:
        """Return the constant without axes of one element."""
        return Compressed(self.dense.squeeze(), self.low.squeeze(), self.high.squeeze())

    def holds(self, weight: Array) -> bool:
        """Tell whether every element of `weight`, of the same shape, rounds to its value here."""
        return bool(((weight >= self.low) & (weight <= self.high)).all())


def quantized(
    levels: Array, scale: Array, zero_point: Array | int = 0, axis: int | None = None
) -> Compressed:
    """Return ``scale * (levels - zero_point)`` and its intervals, half a step on each side.

    Parameters
    ----------
    levels
        Integers.
    scale, zero_point
        One for all, or one for each element of `axis`.

    Raises
    ------
    ValueError
        A scale is not a positive number.
    """
    scale, zero_point = _along(scale, levels, axis), _along(np.asarray(zero_point), levels, axis)
    if not (np.isfinite(scale) & (scale > 0)).all():
        raise ValueError("a scale of a constant is no positive number")
    steps = levels.astype(np.float64) - zero_point
    dense = scale * steps
    half = scale * (0.5 + _SLACK * (np.abs(steps) + 0.5)) + np.zeros(levels.shape)
    return Compressed(dense.astype(np.float32), dense - half, dense + half)


def palettized(dense: Array, palette: Array) -> Compressed:
    """Return values taken from `palette`, which is sorted here; the nearest one was taken.

    Beyond the ends of the palette nothing is nearer, however far it is.
    """
    entries = np.unique(palette.astype(np.float64))
    middles = (entries[1:] + entries[:-1]) / 2
    bounds = np.concatenate([[-np.inf], middles, [np.inf]])
    place = np.searchsorted(entries, dense.astype(np.float64))
    slack = _SLACK * float(np.abs(entries).max(initial=0))
    return Compressed(dense.astype(np.float32), bounds[place] - slack, bounds[place + 1] + slack)


def _along(values: Array, levels: Array, axis: int | None) -> Array:
    values = np.asarray(values, np.float64)
    if values.size == 1 or axis is None:
        return values.reshape(()) if values.size == 1 else values
    shape = [1] * levels.ndim
    shape[axis] = -1
    return values.reshape(shape)
