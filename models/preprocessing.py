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

__all__ = ["Preprocessing", "load_image", "preprocess"]


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
    """

    resize: int
    crop: tuple[int, int]
    interpolation: Literal["bilinear", "bicubic"]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


def preprocess(images: NDArray[np.uint8], preprocessing: Preprocessing) -> NDArray[np.float32]:
    """Normalise images of the model's input size.

    Parameters
    ----------
    images
        RGB bytes, [N, H, W, 3].

    Returns
    -------
    [N, 3, H, W], contiguous.
    """
    import numpy as np

    mean = np.asarray(preprocessing.mean, np.float32)
    std = np.asarray(preprocessing.std, np.float32)
    normal = (images.astype(np.float32) / np.float32(255) - mean) / std
    return np.ascontiguousarray(normal.transpose(0, 3, 1, 2))


def load_image(path: Path, preprocessing: Preprocessing) -> NDArray[np.float32]:
    """Read a photograph as the model's input, [1, 3, H, W].

    Raises
    ------
    UsageError
        The file cannot be read as an image.
    """
    import numpy as np
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UsageError(
            f"{path} cannot be read as an image", why=str(error), fix="Give a JPEG or PNG file"
        ) from None
    return preprocess(np.asarray(_resize_and_crop(upright, preprocessing))[None], preprocessing)


def _resize_and_crop(image: Image, preprocessing: Preprocessing) -> Image:
    from PIL.Image import Resampling

    height, width = preprocessing.crop
    # An input that is not square needs a larger resize for the crop to fit.
    scale = max(preprocessing.resize / min(image.size), width / image.width, height / image.height)
    size = (max(width, round(image.width * scale)), max(height, round(image.height * scale)))
    image = image.resize(size, Resampling[preprocessing.interpolation.upper()])
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))
