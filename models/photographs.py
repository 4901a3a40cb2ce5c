"""Photographs that a dependency already ships: the two of scikit-learn."""

from __future__ import annotations

import io
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from lightmobile.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["crops", "each_crop", "photographs"]

_NAMES = ("china.jpg", "flower.jpg")


@cache
def photographs() -> tuple[NDArray[np.uint8], ...]:
    """Return the photographs, each [H, W, 3] in RGB.

    Raises
    ------
    UsageError
        scikit-learn is not installed.
    """
    import numpy as np
    from PIL import Image

    # Importing scikit-learn takes a second and brings SciPy along; its files are enough.
    spec = find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise UsageError(
            "There are no photographs to verify with",
            why="They are the two that scikit-learn ships, and it is not installed",
            fix="pip install 'lightmobile[photos]'",
        )
    folder = Path(spec.origin).parent / "datasets" / "images"
    return tuple(
        np.asarray(Image.open(io.BytesIO((folder / name).read_bytes()))) for name in _NAMES
    )


def crops(count: int, size: tuple[int, int] = (224, 224), seed: int = 0) -> NDArray[np.uint8]:
    """Return random resized crops of the photographs in turn, half of them mirrored.

    The same on every machine: the draws are integers of PCG64, and Pillow resizes in integers.

    Parameters
    ----------
    count
        How many, N.
    size
        Height and width of each, in pixels.

    Returns
    -------
    [N, H, W, 3] in RGB.
    """
    import numpy as np

    # All at once: more than there is is refused. Pillow asks line by line, until the system kills.
    out = np.empty((count, *size, 3), np.uint8)
    for place, crop in zip(out, each_crop(count, size, seed), strict=True):
        place[:] = crop
    return out


def each_crop(
    count: int, size: tuple[int, int], seed: int | Sequence[int]
) -> Iterator[NDArray[np.uint8]]:
    """Yield the crops of `crops` one by one, each [H, W, 3]."""
    import numpy as np
    from PIL import Image

    rng = np.random.Generator(np.random.PCG64(seed))
    images = [Image.fromarray(photograph) for photograph in photographs()]
    for index in range(count):
        image = images[index % len(images)]
        box = _box(rng, image.size, size)
        crop = image.resize((size[1], size[0]), Image.Resampling.BILINEAR, box=box)
        yield np.asarray(crop)[:, :: rng.choice((1, -1))]


def _box(
    rng: np.random.Generator, image: tuple[int, int], size: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Draw a window of the crop's own proportions, at least half as large as fits.

    Smaller ones may show nothing but sky, and models answer alike there.
    """
    height, width = size
    largest = min(image[0] * height, image[1] * width)
    share = int(rng.integers(50, 101))
    box_width = max(1, largest * share // (100 * height))
    box_height = max(1, largest * share // (100 * width))
    left = int(rng.integers(0, image[0] - box_width + 1))
    top = int(rng.integers(0, image[1] - box_height + 1))
    return left, top, left + box_width, top + box_height
