"""Artifacts on disk: their names, their hash, and how they come into place whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightmobile.errors import UsageError
from lightmobile.models.scaling import Scaling

if TYPE_CHECKING:
    from lightmobile.export.manifest import Parity, Placement
    from lightmobile.export.spec import ExportSpec

__all__ = [
    "Artifact",
    "disk_error",
    "file_name",
    "full_disk",
    "install",
    "sha256_of",
    "size_of",
    "slug",
]

_LONGEST = 100
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_LEAST_FREE_BYTES = 1 << 20
_PLAIN = re.compile(r"[a-z0-9][a-z0-9_]*")
# Windows refuses these whatever suffix follows.
_RESERVED = re.compile(r"con|prn|aux|nul|com\d|lpt\d")


@dataclass(frozen=True)
class Artifact:
    """An exported file (for Core ML a folder), verified, with its manifest beside it.

    Attributes
    ----------
    bytes
        Size of the file, or of all files of the folder.
    cached
        Taken from the cache: nothing was lowered again.
    seconds
        Wall time from the call to the artifact being in place.
    placements
        The manifest's: which operators its delegates take.
    """

    path: Path
    manifest: Path
    model: str
    target: str
    backend: str
    precision: str
    bytes: int
    cached: bool
    seconds: float
    parity: Parity
    placements: tuple[Placement, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return what ``lightmobile export --json`` prints of one artifact."""
        figures = {"max_abs", "rel_l2", "sqnr_db", "top1_agreement"}
        return {
            "path": str(self.path),
            "manifest": str(self.manifest),
            "model": self.model,
            "target": self.target,
            "backend": self.backend,
            "precision": self.precision,
            "cached": self.cached,
            "seconds": round(self.seconds, 3),
            "parity": self.parity.model_dump(include=figures),
            "placements": [placement.model_dump() for placement in self.placements],
        }


def slug(model: str) -> str:
    """Return `model` as a file name, safe and distinct on every file system.

    A name of lower-case letters, digits and underscores stays as it is. Another loses what a
    file system may refuse or fold (capitals, punctuation) and gains a digest, so that two
    models never share a file. Hyphens are left to what tells exports of one model apart, and to
    scaled models: ``regnety_400mf-d1w8g8r1-s8``, however the strategy is written.
    """
    base, at, scaling = model.partition("@")
    if at:
        with suppress(UsageError):
            return f"{slug(base)}-{Scaling.parse(scaling).slug}"
    if len(model) <= _LONGEST and _PLAIN.fullmatch(model) and not _RESERVED.fullmatch(model):
        return model
    cleaned = re.sub(r"[^a-z0-9_]+", "-", model.lower()).strip("-_")[:_LONGEST]
    digest = hashlib.sha256(model.encode()).hexdigest()[:8]
    return f"{cleaned}-{digest}" if cleaned else f"model-{digest}"


def file_name(model: str, spec: ExportSpec, suffix: str, *, features_only: bool = False) -> str:
    """Return ``<slug>.<backend>.<precision><suffix>`` of `model` lowered as `spec` says.

    `spec.input_size`, the batch, the layout and the I/O type appear where they are not the usual
    ones, ``features`` where the head was left out, and ``mixed`` where layers were kept from
    quantization.
    """
    parts = [slug(model)]
    if features_only:
        parts.append("features")
    if spec.input_size is not None:
        parts.append("{}x{}".format(*spec.input_size))
    if spec.batch != 1:
        parts.append(f"b{spec.batch}")
    if spec.layout != "nchw":
        parts.append(spec.layout)
    if spec.io != "float32":
        parts.append(f"{spec.io}_io")
    if spec.keep_fp:
        parts.append("mixed")
    return f"{'-'.join(parts)}.{spec.backend}.{spec.precision}{suffix}"


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file or, for a folder, of its relative paths and their hashes.

    Raises
    ------
    UsageError
        `path` cannot be read, or the folder holds something else than files and folders.
    """
    try:
        if not path.is_dir():
            return _sha256_of_file(path)
        digest = hashlib.sha256()
        for name, file in sorted(
            (file.relative_to(path).as_posix(), file) for file in _files(path)
        ):
            digest.update(f"{name}\0{_sha256_of_file(file)}\n".encode())
        return digest.hexdigest()
    except OSError as error:
        raise UsageError(f"{path} cannot be read", why=error.strerror or str(error)) from None


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all files of a folder."""
    return (
        sum(file.stat().st_size for file in _files(path)) if path.is_dir() else path.stat().st_size
    )


def install(source: Path, destination: Path) -> None:
    """Move `source` to `destination` on the same file system, whole or not at all.

    What lay at `destination` is replaced. A folder cannot be replaced in one step: the old one
    steps aside first, and returns where the new one cannot take its place.
    """
    _flush(source)
    if not destination.exists() or not (source.is_dir() or destination.is_dir()):
        source.replace(destination)
    else:
        with tempfile.TemporaryDirectory(dir=destination.parent, prefix=".old-") as aside:
            old = Path(aside) / destination.name
            destination.replace(old)
            try:
                source.replace(destination)
            except BaseException:
                old.replace(destination)
                raise
    _flush_names(destination.parent)


def disk_error(error: OSError, folder: Path) -> UsageError:
    """Return the message of an `error` met while writing in `folder`."""
    if error.errno in _FULL:
        return UsageError(
            f"There is no space left in {folder}",
            why=error.strerror or "",
            fix="Free some, or give another folder with -o",
        )
    return UsageError(
        f"{folder} cannot be written",
        why=error.strerror or str(error),
        fix="Give another folder with -o, or change its permissions",
    )


def full_disk(folder: Path) -> UsageError | None:
    """Return the message of a full disk where `folder` lies on one.

    Exporters in C++ fail in words of their own, or end their process, when they cannot write.
    """
    if shutil.disk_usage(folder).free >= _LEAST_FREE_BYTES:
        return None
    return disk_error(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), folder)


def out_of_memory(error: Exception) -> UsageError:
    """Return the message of an allocation that failed."""
    return UsageError(
        "There is not memory enough",
        why=str(error).split("\n", 1)[0],
        fix="Give a smaller --input-size or --batch, or one --target at a time",
    )


def _files(folder: Path) -> list[Path]:
    # A link could lead out of the folder, and a pipe would never end.
    files = []
    for path in folder.rglob("*"):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise UsageError(f"{path} is neither a file nor a folder", fix="Export the model again")
        if path.is_file():
            files.append(path)
    return files


def _sha256_of_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush(path: Path) -> None:
    for file in _files(path) if path.is_dir() else [path]:
        with file.open("rb+") as handle:
            os.fsync(handle.fileno())


def _flush_names(folder: Path) -> None:
    if os.name == "nt":  # a folder cannot be opened there, and renames are journalled
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
