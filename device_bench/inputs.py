"""The inputs of a bench: noise from a seed, the same for every runtime and device."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lightmobile.export.manifest import Tensor

__all__ = ["write_noise"]


def write_noise(tensors: Sequence[Tensor], seed: int, folder: Path) -> tuple[Path, ...]:
    """Write each of `tensors`, raw and in C order, into a file of `folder`; return the files.

    Floating point is normal, integers are uniform over all of their type.
    """
    import numpy as np

    noise = np.random.default_rng(seed)

    def fill(shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
        if np.dtype(dtype).kind in "iu":
            limits = np.iinfo(dtype)
            return noise.integers(limits.min, limits.max, shape, np.int64, endpoint=True)
        return noise.standard_normal(shape)

    files = []
    for index, tensor in enumerate(tensors):
        file = folder / f"input-{index}"
        fill(tensor.shape, tensor.dtype).astype(tensor.dtype).tofile(file)
        files.append(file)
    return tuple(files)
