"""How far a runner's outputs are from PyTorch's, and from those of the host's own runtime.

PyTorch's tell whether the device computes the model. The host's, of the very same file, tell more
of a quantized one: both round to the same grid, so they may differ by one step of it and no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from lightmobile.export.precision import PRECISIONS
from lightmobile.export.verification.metrics import BARS, max_abs, rel_l2

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

__all__ = ["Against", "Agreement", "compare", "grid_step"]

Against = Literal["pytorch", "host"]

# Between two runtimes: a sum in another order turns a rounding here and there, and where the
# outputs lie on no grid of their own, only their size tells how much that may matter.
_ROUNDED_REL_L2 = 2e-2
_MOST_STEPS = 1.0
# Outputs are the product of a whole number and a step, rounded to float32.
_OFF_GRID = 1e-2
_MOST_LEVELS = 2**16


@dataclass(frozen=True)
class Agreement:
    """How far outputs are from a reference.

    Attributes
    ----------
    max_abs
        Largest difference.
    rel_l2
        Largest relative L2 error of an output.
    steps
        Largest difference in steps of its output's grid; None where none lies on one.
    passed
        Whether that is within the bar of the precision.
    """

    max_abs: float
    rel_l2: float
    steps: float | None
    passed: bool


def compare(
    expected: Sequence[Array], measured: Sequence[Array], precision: str, against: Against
) -> Agreement:
    """Compare outputs, one by one, with those of a reference.

    Raises
    ------
    ValueError
        They are not of the same number, shapes or types, or hold what cannot be compared.
    """
    import numpy as np

    pairs = list(zip(expected, measured, strict=True))
    for reference, output in pairs:
        if (reference.shape, reference.dtype) != (output.shape, output.dtype):
            raise ValueError(
                f"an output is {output.dtype}{list(output.shape)} instead of "
                f"{reference.dtype}{list(reference.shape)}"
            )
        if not np.isfinite(output).all():
            raise ValueError("an output holds what is no number")
    differences = [max_abs(*pair) for pair in pairs]
    worst = max(_rel_l2(*pair) for pair in pairs)
    steps = [
        difference / step
        for difference, (reference, _) in zip(differences, pairs, strict=True)
        if PRECISIONS[precision].quantized and (step := grid_step(reference))
    ]
    most_steps = max(steps, default=None)
    if against == "host" and most_steps is not None:
        passed = most_steps <= _MOST_STEPS + _OFF_GRID
    elif against == "host" and precision != "fp32":
        passed = worst <= _ROUNDED_REL_L2
    else:
        passed = worst <= BARS[precision].rel_l2
    return Agreement(max(differences), worst, most_steps, passed)


def grid_step(output: Array) -> float | None:
    """Return the step of the grid that all of `output` lies on; None where there is none.

    A quantized output has few levels, and neighbours among them one step apart.
    """
    import numpy as np

    levels = np.unique(output.astype(np.float64))
    if not 2 <= len(levels) <= _MOST_LEVELS:
        return None
    step = float(np.diff(levels).min())
    counted = (levels - levels[0]) / step
    is_grid = counted[-1] < _MOST_LEVELS and np.abs(counted - counted.round()).max() < _OFF_GRID
    return step if is_grid else None


def _rel_l2(reference: Array, output: Array) -> float:
    if reference.any():
        return rel_l2(reference, output)
    if output.any():
        raise ValueError("an output should be all zero, and is not")
    return 0.0
