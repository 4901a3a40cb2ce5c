"""The accuracy of an artifact on a labelled folder of images."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightmobile.errors import UsageError
from lightmobile.export.manifest import Manifest
from lightmobile.export.verification.sandbox import run_limited
from lightmobile.export.verification.trust import believable_manifest, hash_matches, limits_for
from lightmobile.models.preprocessing import IMAGE_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Evaluation", "evaluate"]


@dataclass(frozen=True)
class Evaluation:
    """How many images an artifact recognises.

    Attributes
    ----------
    top1, top5
        Shares of the samples, 0 to 1, whose label is the best class, or among the best five.
    """

    top1: float
    top5: float
    samples: int
    method: str

    def to_dict(self) -> dict[str, Any]:
        """Return what ``lightmobile eval --json`` prints."""
        return asdict(self)


def evaluate(artifact: str | Path, data: str | Path, *, limit: int | None = None) -> Evaluation:
    """Run `artifact` on the images of `data`, in a limited child process, a batch at a time.

    Parameters
    ----------
    data
        A folder with one folder of images for each class. A class's folder is named after its
        label in the manifest, or its number; else the sorted folders are the classes in order, as
        in ImageNet's validation set, and there have to be as many.
    limit
        Use this many images, evenly spread over the classes.

    Raises
    ------
    UsageError
        No images, folders that cannot be told to classes, an unreadable image (which is named),
        or no artifact.
    VerificationError
        The artifact is not its manifest's file, or cannot be run.
    """
    path = Path(artifact).absolute()
    manifest = believable_manifest(path)
    _require_classifier(manifest)
    images = _spread(_labelled_images(Path(data).absolute(), manifest), limit)
    hash_matches(path, manifest, required=True)
    job = {
        "artifact": str(path),
        "manifest": manifest.model_dump(mode="json", by_alias=True),
        "images": [(str(image), label) for image, label in images],
    }
    limits = limits_for(path, manifest, len(images))
    counts = run_limited(f"{__name__}:count", job, limits, path.name)
    return Evaluation(
        top1=counts["top1"] / len(images),
        top5=counts["top5"] / len(images),
        samples=len(images),
        method=counts["method"],
    )


def count(job: dict[str, Any]) -> dict[str, Any]:
    """Do the work of `evaluate`, in the child."""
    import numpy as np

    from lightmobile.export.verification.engines import answer, open_engines

    manifest = Manifest.model_validate(job["manifest"])
    artifact = Path(job["artifact"])
    engine = open_engines(artifact, manifest)[-1]  # on macOS Core ML itself
    top1 = top5 = 0
    for images, labels in _batches(job["images"], manifest):
        logits = answer(engine, artifact, images, manifest.layout)[0].reshape(len(images), -1)
        # How many classes are as good or better: an artifact that answers the same for every
        # class recognises nothing.
        rank = (logits >= np.take_along_axis(logits, labels[:, None], axis=1)).sum(axis=1)
        top1 += int((rank <= 1).sum())
        top5 += int((rank <= 5).sum())
    return {"top1": top1, "top5": top5, "method": engine.method}


def _require_classifier(manifest: Manifest) -> None:
    shapes = [output.shape for output in manifest.outputs]
    if len(shapes) != 1 or len(shapes[0]) != 2:
        raise UsageError(
            f"{manifest.file} is no classifier",
            why=f"Its outputs are {', '.join(map(str, shapes))}, and logits have two axes",
            fix="Export the model without --features-only",
        )


def _batches(
    images: list[tuple[str, int]], manifest: Manifest
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
    import numpy as np

    from lightmobile.models.preprocessing import load_image

    recipe = manifest.preprocessing.recipe()
    for start in range(0, len(images), manifest.batch):
        group = images[start : start + manifest.batch]
        pixels = np.concatenate([load_image(Path(path), recipe) for path, _ in group])
        yield pixels, np.array([label for _, label in group])


def _labelled_images(data: Path, manifest: Manifest) -> list[tuple[Path, int]]:
    if not data.is_dir():
        raise UsageError(f"There is no folder {data}", fix="Give one folder of images a class")
    folders = sorted(entry for entry in data.iterdir() if entry.is_dir())
    classes = _classes(folders, manifest)
    images = [
        (image, label)
        for folder, label in zip(folders, classes, strict=True)
        for image in sorted(folder.rglob("*"))
        if image.suffix.lower() in IMAGE_SUFFIXES and image.is_file()
    ]
    if not images:
        raise UsageError(
            f"There are no images in the folders of {data}",
            why=f"Images are files in {len(folders)} folders of classes that end in "
            f"{', '.join(sorted(IMAGE_SUFFIXES))}",
        )
    return images


def _classes(folders: list[Path], manifest: Manifest) -> list[int]:
    names = [folder.name for folder in folders]
    known = manifest.outputs[0].shape[-1]
    labels = list(manifest.labels or ())
    if labels and set(names) <= set(labels):
        found = [labels.index(name) for name in names]
    elif names and all(name.isdecimal() for name in names):
        found = [int(name) for name in names]
    elif len(names) == known:
        found = list(range(known))
    else:
        raise UsageError(
            f"{len(names)} folders cannot be told to the model's {known} classes",
            why="They are named neither after its labels nor by number",
            fix=f"Give one folder of images for each of the {known} classes",
        )
    if max(found, default=0) >= known:
        raise UsageError(f"There is a folder for class {max(found)}, the model has {known} classes")
    return found


def _spread(images: list[tuple[Path, int]], limit: int | None) -> list[tuple[Path, int]]:
    if limit is None or limit >= len(images):
        return images
    if limit < 1:
        raise UsageError(f"{limit} images measure nothing", fix="Give 1 or more")
    return [images[index * len(images) // limit] for index in range(limit)]
