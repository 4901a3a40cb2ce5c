"""How well one column of figures predicts another, with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from lightmobile.device_bench.studies.estimate import Estimate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]

__all__ = ["difference", "pearson", "spearman"]

_RESAMPLES = 2000
_FEWEST = 5


def pearson(x: Sequence[float], y: Sequence[float]) -> Estimate | None:
    """Return Pearson's correlation of two columns; None where one of them does not vary.

    The interval is that of the bootstrap over rows, here networks: how it would come out for others
    like them. Fewer than five rows have none.
    """
    return _estimate(_drawn(x, y))


def spearman(x: Sequence[float], y: Sequence[float]) -> Estimate | None:
    """Return the same of their ranks, ties sharing one."""
    return _estimate(_drawn(x, y, ranked=True))


def difference(
    first: Sequence[float], second: Sequence[float], y: Sequence[float]
) -> Estimate | None:
    """Return how much better `first` correlates with `y` than `second` does, after Pearson.

    Both are taken of the same resamples, so that what moves both cancels.
    """
    ours, theirs = _drawn(first, y), _drawn(second, y)
    return None if ours is None or theirs is None else _estimate(ours - theirs)


def _estimate(drawn: Floats | None) -> Estimate | None:
    """Return the estimate whose value comes first and whose resamples follow."""
    import numpy as np

    if drawn is None:
        return None
    value, resamples = float(drawn[0]), drawn[1:][np.isfinite(drawn[1:])]
    if not len(resamples):
        return Estimate(value)
    low, high = np.percentile(resamples, (2.5, 97.5)).tolist()
    return Estimate(value, low, high)


def _drawn(x: Sequence[float], y: Sequence[float], *, ranked: bool = False) -> Floats | None:
    """Return the correlation, then that of each resample; NaN where a resample does not vary."""
    import numpy as np

    a, b = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    rows = np.arange(len(a))[None]
    if len(a) >= _FEWEST:
        random = np.random.Generator(np.random.PCG64(0))
        rows = np.concatenate((rows, random.integers(0, len(a), (_RESAMPLES, len(a)))))
    left, right = a[rows], b[rows]
    if ranked:
        left, right = _ranks(left), _ranks(right)
    left = left - left.mean(axis=1, keepdims=True)
    right = right - right.mean(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        correlations: Floats = (left * right).sum(axis=1) / np.sqrt(
            (left**2).sum(axis=1) * (right**2).sum(axis=1)
        )
    return correlations


def _ranks(rows: Floats) -> Floats:
    """Return the rank of each value within its row; equal values share the mean of theirs."""
    import numpy as np

    below = (rows[:, None, :] < rows[:, :, None]).sum(axis=2)
    equal = (rows[:, None, :] == rows[:, :, None]).sum(axis=2)
    ranks: Floats = np.asarray(below + (equal + 1) / 2)
    return ranks
