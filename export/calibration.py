"""Images that show a quantizer the ranges of a model's activations."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightmobile.errors import UsageError
from lightmobile.models.preprocessing import IMAGE_SUFFIXES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lightmobile.models.preprocessing import Preprocessing

__all__ = ["PHOTOS", "Calibration", "CalibrationImages"]

PHOTOS = "photos"
"""The two photographs that scikit-learn ships, in random crops."""

# From 32 to 128 images ranges still widen, worth 3 to 8 dB in TFLite's int8; to 512, 0.2 dB.
_SAMPLES = 128


@dataclass(frozen=True)
class Calibration:
    """Which images calibrate; made by `of`.

    Attributes
    ----------
    source
        ``photos``, or the name of the folder.
    files
        The images chosen, absolute paths; none of ``photos``.
    samples
        How many images.
    seed
        Of the choice, or of the crops.
    sha256
        Over the chosen files' names and contents.
    """

    source: str
    files: tuple[str, ...]
    samples: int
    seed: int
    sha256: str | None

    @classmethod
    def of(
        cls, source: str | Path = PHOTOS, samples: int | None = None, seed: int = 0
    ) -> Calibration:
        """Choose the images, at random where there are more than `samples`.

        Parameters
        ----------
        source
            ``photos``, or a folder; images may lie in folders of it.
        samples
            How many at most; 128 where None.

        Raises
        ------
        UsageError
            There is no such folder, it holds no images, or `samples` is none.
        """
        samples = _SAMPLES if samples is None else samples
        if samples < 1:
            raise UsageError(f"{samples} images calibrate nothing", fix="Give 1 or more")
        if source == PHOTOS:
            return cls(PHOTOS, (), samples, seed, None)
        folder = Path(source).absolute()
        images = _choose(_images(folder), samples, seed)
        return cls(folder.name, tuple(map(str, images)), len(images), seed, _sha256(folder, images))

    def identity(self) -> dict[str, Any]:
        """Return what decides the ranges, wherever the folder lies; for keys and manifests."""
        return {name: value for name, value in asdict(self).items() if name != "files"}


class CalibrationImages:
    """The images of a calibration as a model takes them, read as they are needed.

    Parameters
    ----------
    batch
        Images per inference; the last batch is filled up with its last image.
    report
        Called with the images read so far, and with all.
    """

    def __init__(
        self,
        calibration: Calibration,
        preprocessing: Preprocessing,
        batch: int = 1,
        report: Callable[[int, int], None] | None = None,
    ) -> None:
        self._calibration = calibration
        self._preprocessing = preprocessing
        self._batch = batch
        self._report = report

    def __len__(self) -> int:
        """Return how many batches there are."""
        return -(-self._calibration.samples // self._batch)

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        """Yield batches, float32 [N, 3, H, W].

        Raises
        ------
        UsageError
            A file cannot be read as an image.
        """
        import numpy as np

        group: list[NDArray[np.float32]] = []
        for done, image in enumerate(self._each(), start=1):
            group.append(image)
            if done == self._calibration.samples:
                group += [image] * (self._batch - len(group))
            if len(group) == self._batch:
                yield np.concatenate(group)
                group = []
            if self._report:
                self._report(done, self._calibration.samples)

    def _each(self) -> Iterator[NDArray[np.float32]]:
        from lightmobile.models.photographs import each_crop
        from lightmobile.models.preprocessing import load_image, preprocess

        calibration, size = self._calibration, self._preprocessing.crop
        for file in calibration.files:
            yield load_image(Path(file), self._preprocessing)
        if not calibration.files:
            # Other crops than those that the artifact will be verified on.
            seed = (calibration.seed, *b"calibration")
            for crop in each_crop(calibration.samples, size, seed):
                yield preprocess(crop[None], self._preprocessing)


def _images(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise UsageError(
            f"There is no folder {folder} to calibrate with",
            fix=f"Give a folder of images, or {PHOTOS}",
        )
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    images = [file for file in files if file.suffix.lower() in IMAGE_SUFFIXES]
    if not images:
        raise UsageError(
            f"There are no images in {folder}",
            why=f"None of its {len(files)} files ends in {', '.join(sorted(IMAGE_SUFFIXES))}"
            if files
            else "It is empty",
            fix="Give a folder of images such as the model will see",
        )
    return images


def _choose(images: list[Path], samples: int, seed: int) -> list[Path]:
    if samples >= len(images):
        return images
    import numpy as np

    rng = np.random.Generator(np.random.PCG64(seed))
    return [images[index] for index in sorted(rng.permutation(len(images))[:samples])]


def _sha256(folder: Path, images: list[Path]) -> str:
    digest = hashlib.sha256()
    for image in images:
        try:
            with image.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise UsageError(f"{image} cannot be read", why=error.strerror or str(error)) from None
        digest.update(f"{image.relative_to(folder).as_posix()}\0{content}\n".encode())
    return digest.hexdigest()
