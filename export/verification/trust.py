"""What is looked at before an artifact of a stranger is read any further."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lightmobile.errors import UsageError, VerificationError
from lightmobile.export.artifact import sha256_of, size_of
from lightmobile.export.manifest import Manifest, manifest_path, read_manifest
from lightmobile.export.verification.sandbox import Limits

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["believable_manifest", "hash_matches", "limits_for"]

_MOST_MANIFEST_BYTES = 16 << 20
_MOST_PIXELS = 1 << 24
_MOST_NUMBERS = 1 << 26


def believable_manifest(artifact: Path) -> Manifest:
    """Return the manifest beside `artifact`, read and found to be about it.

    Raises
    ------
    UsageError
        There is no artifact or no manifest, or the manifest says what cannot be.
    """
    beside = manifest_path(artifact)
    # A pipe or a device would be read for ever.
    if not (artifact.is_file() or artifact.is_dir()):
        raise UsageError(f"There is no artifact at {artifact}", fix="Give a file that export wrote")
    if beside.exists() and not (beside.is_file() and beside.stat().st_size <= _MOST_MANIFEST_BYTES):
        raise UsageError(f"{beside} is no manifest", why="It is no file, or far too large for one")
    manifest = read_manifest(artifact)
    height, width = manifest.input_size
    seed = manifest.weights.seed
    channels = manifest.preprocessing.channels
    for believable, why in (
        (manifest.file == artifact.name, f"It is about {manifest.file!r}"),
        (
            min(height, width, manifest.batch, channels) >= 1
            and height * width * manifest.batch <= _MOST_PIXELS
            and height * width * manifest.batch * channels <= _MOST_NUMBERS,
            f"It tells of {manifest.batch} inputs of {channels}x{height}x{width} at once",
        ),
        (manifest.layout in ("nchw", "nhwc"), f"It tells of a layout {manifest.layout!r}"),
        (manifest.preprocessing.crop == manifest.input_size, "Its crop is not its input"),
        (
            0 < manifest.preprocessing.resize <= _MOST_PIXELS
            and min(manifest.preprocessing.std) > 0,
            "Its preprocessing cannot be done",
        ),
        (
            manifest.weights.source == "checkpoint" or (seed is not None and 0 <= seed < 2**64),
            "It gives no possible seed of its untrained weights",
        ),
    ):
        if not believable:
            raise UsageError(
                f"{beside.name} is not {artifact.name}'s manifest",
                why=why[:200],
                fix="Export the model again",
            )
    return manifest


def hash_matches(artifact: Path, manifest: Manifest, *, required: bool) -> bool:
    """Tell whether `artifact` is the file its manifest was written for.

    Raises
    ------
    VerificationError
        It is not, and that is `required`.
    """
    matches = sha256_of(artifact) == manifest.file_sha256
    if required and not matches:
        raise VerificationError(
            f"{artifact.name} is not the file its manifest was written for",
            why="Its SHA-256 is another: it was damaged or changed since its export",
            fix="Export the model again; --ignore-hash judges by the numbers alone",
        )
    return matches


def limits_for(artifact: Path, manifest: Manifest, images: int = 0) -> Limits:
    """Return what reading `artifact` may take: generous for honest files on slow machines.

    Time grows with the file and the input, as the work does, and with the `images` of an
    evaluation.
    """
    size = size_of(artifact)
    height, width = manifest.input_size
    seconds = 120 + 10 * size / 1e6 * max(1.0, height * width / 224**2) + 5 * images
    # Loading a Core ML package may write a copy of its weights.
    return Limits(seconds, file_bytes=size + (64 << 20))
