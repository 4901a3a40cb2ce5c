"""How a photograph becomes a model's input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lightmobile.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

__all__ = ["IMAGE_SUFFIXES", "Preprocessing", "load_image", "preprocess"]

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".webp"})
"""Of the files in a folder that count as images."""


@dataclass(frozen=True)
class Preprocessing:
    """Resize the short side, crop the centre, then normalise each channel.

    Attributes
    ----------
    resize
        Short side of the resized photograph, in pixels.
    crop
        Height and width of the crop, in pixels: the model's input size.
    interpolation
        Filter of the resize.
    mean, std
        Of the red, green and blue channel, where a pixel lies between 0 and 1.
    channels
        Of the input. An operator within a network sees features, not colours: the further
        channels are the first three, each time shifted to another place.
    """

    resize: int
    crop: tuple[int, int]
    interpolation: Literal["bilinear", "bicubic"]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    channels: int = 3


def preprocess(images: NDArray[np.uint8], preprocessing: Preprocessing) -> NDArray[np.float32]:
    """Normalise images of the model's input size.

    Parameters
    ----------
    images
        RGB bytes, [N, H, W, 3].

    Returns
    -------
    [N, C, H, W], contiguous; C is 3 but for operators.
    """
    import numpy as np

    mean = np.asarray(preprocessing.mean, np.float32)
    std = np.asarray(preprocessing.std, np.float32)
    normal = (images.astype(np.float32) / np.float32(255) - mean) / std
    colours = normal.transpose(0, 3, 1, 2)
    if preprocessing.channels == 3:
        return np.ascontiguousarray(colours)
    return _features(colours, preprocessing.channels)


def _features(colours: NDArray[np.float32], channels: int) -> NDArray[np.float32]:
    """Return [N, C, H, W] of shifted copies of [N, 3, H, W]."""
    import numpy as np

    width = colours.shape[3]
    shifts = range(-(-channels // 3))
    copies = [np.roll(colours, (at // width, at % width), axis=(2, 3)) for at in shifts]
    return np.ascontiguousarray(np.concatenate(copies, axis=1)[:, :channels])


def load_image(path: Path, preprocessing: Preprocessing) -> NDArray[np.float32]:
    """Read a photograph as the model's input, [1, 3, H, W].

    Raises
    ------
    UsageError
        The file cannot be read as an image.
    """
    import numpy as np
    from PIL import Image

    try:
        with Image.open(path) as file:
            image = file.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UsageError(
            f"{path} cannot be read as an image", why=str(error), fix="Give a JPEG or PNG file"
        ) from None
    return preprocess(np.asarray(_resize_and_crop(image, preprocessing))[None], preprocessing)


def _resize_and_crop(image: Image, preprocessing: Preprocessing) -> Image:
    """Do what torchvision's Resize and CenterCrop do, pixel for pixel."""
    from PIL.Image import Resampling

    (height, width), least = preprocessing.crop, min(image.size)
    # A crop that is not square may need more than the short side asked for.
    short = max(
        preprocessing.resize, -(-width * least // image.width), -(-height * least // image.height)
    )
    size = (short * image.width // least, short * image.height // least)
    image = image.resize(size, Resampling[preprocessing.interpolation.upper()])
    left, top = round((image.width - width) / 2), round((image.height - height) / 2)
    return image.crop((left, top, left + width, top + height))
