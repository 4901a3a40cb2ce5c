"""What the studies of trained weights have in common: the weights, and intervals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from lightmobile.device_bench.studies.estimate import Estimate
from lightmobile.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]

__all__ = ["bootstrap", "trained_kernels"]

_RESAMPLES = 2000
_FEWEST = 3
# Standard errors that kernels of random weights never differ by between positions.
_FAR = 6.0


def trained_kernels(checkpoint: Path) -> dict[str, Floats]:
    """Return the spatial kernels of a checkpoint by name, [filters, channels, K, K], K odd.

    Raises
    ------
    UsageError
        The file is no checkpoint, has no such kernels, or its weights are random.
    """
    from lightmobile.models.checkpoints import read_checkpoint

    kernels = {
        name: tensor.double().numpy()
        for name, tensor in read_checkpoint(checkpoint).items()
        if tensor.ndim == 4
        and tensor.is_floating_point()
        and tensor.shape[2] == tensor.shape[3]
        and tensor.shape[2] in (3, 5, 7)
    }
    if not kernels:
        raise UsageError(
            f"{checkpoint} has no kernels of 3x3, 5x5 or 7x7",
            fix="Give the checkpoint of a network with spatial convolutions",
        )
    if not any(_is_trained(kernel) for kernel in kernels.values()):
        raise UsageError(
            f"The weights of {checkpoint} are random",
            why="In every layer, all positions of the kernels have the same mean magnitude to "
            "within chance, as they are drawn and never trained",
            fix="Give a trained checkpoint",
        )
    return kernels


def _is_trained(kernel: Floats) -> bool:
    """Whether the mean magnitude differs between positions by more than chance allows."""
    import numpy as np

    size = np.abs(kernel).reshape(-1, kernel.shape[2] * kernel.shape[3])
    if len(size) < 2 or not np.isfinite(size).all():
        return False
    error = size.std(ddof=1) / len(size) ** 0.5
    return bool(error > 0 and np.ptp(size.mean(axis=0)) / error > _FAR * 2**0.5)


def bootstrap(rows: Floats, statistic: Callable[[Floats], Floats]) -> Estimate:
    """Return a statistic of `rows`, with the interval of its bootstrap over them.

    Parameters
    ----------
    rows
        One a layer or an image, [N, ...].
    statistic
        Of resamples [R, N, ...], [R]. With fewer than three rows there is no interval.
    """
    import numpy as np

    value = float(statistic(rows[None])[0])
    if len(rows) < _FEWEST:
        return Estimate(value)
    random = np.random.Generator(np.random.PCG64(0))
    drawn = random.integers(0, len(rows), (_RESAMPLES, len(rows)))
    low, high = np.percentile(statistic(rows[drawn]), (2.5, 97.5)).tolist()
    return Estimate(value, low, high)
