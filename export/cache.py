"""Exports kept by everything they were made from, so that the same one again takes no time."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightmobile.errors import UsageError
from lightmobile.export.artifact import sha256_of, size_of
from lightmobile.export.manifest import manifest_path, read_manifest
from lightmobile.models.bridges.timm_bridge import is_timm

if TYPE_CHECKING:
    from lightmobile.export.calibration import Calibration
    from lightmobile.export.spec import ExportSpec
    from lightmobile.models.registry import ModelFacts

__all__ = [
    "Entry",
    "cache_dir",
    "clear",
    "entries",
    "find",
    "key_of",
    "model_packages",
    "store",
    "versions_of",
]

# Untrained weights are computed by numpy on scikit-learn's photographs.
_WEIGHT_MAKERS = ("numpy", "scikit-learn")


@dataclass(frozen=True)
class Entry:
    """One export in the cache.

    Attributes
    ----------
    artifact
        Name of the file, or of the folder.
    created
        Seconds since the epoch.
    """

    key: str
    artifact: str
    path: Path
    bytes: int
    created: float

    def to_dict(self) -> dict[str, Any]:
        """Return what ``lightmobile cache list --json`` prints of one entry."""
        return asdict(self) | {"path": str(self.path)}


def cache_dir() -> Path:
    """Return the folder of the cache: ``LIGHTMOBILE_CACHE``, or the user's cache folder."""
    if chosen := os.environ.get("LIGHTMOBILE_CACHE"):
        return Path(chosen) / "exports"
    from platformdirs import user_cache_path

    return user_cache_path("lightmobile", appauthor=False) / "exports"


def key_of(
    facts: ModelFacts,
    overrides: Mapping[str, Any],
    spec: ExportSpec,
    weights: Mapping[str, Any],
    calibration: Calibration | None = None,
) -> str:
    """Return the SHA-256 over everything that decides the artifact and its manifest.

    Parameters
    ----------
    weights
        The seed, or the name and hash of the checkpoint.
    calibration
        The images, where the precision wants any.
    """
    decisive = {
        "model": facts.name,
        "overrides": dict(overrides),
        "spec": spec.to_dict(),
        "weights": dict(weights),
        "versions": versions_of(*spec.packages, *_WEIGHT_MAKERS, *model_packages(facts.name)),
        "calibration": calibration and calibration.identity(),
        "sources": _sources_sha256(facts.module),
    }
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def find(key: str, name: str) -> Path | None:
    """Return the artifact `name` kept under `key`, whole, its manifest beside it.

    A damaged entry is none: it is made again and then replaced.
    """
    path = cache_dir() / key / name
    try:
        return path if sha256_of(path) == read_manifest(path).file_sha256 else None
    except UsageError:
        return None


def store(key: str, artifact: Path) -> None:
    """Keep a copy of `artifact` and of the manifest beside it under `key`.

    A cache that cannot be written makes the next export slower and nothing wrong: no error.
    """
    home = cache_dir()
    with contextlib.suppress(OSError):
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home, prefix=".new-") as temporary:
            whole = Path(temporary) / key
            whole.mkdir()
            copy(artifact, whole / artifact.name)
            copy(manifest_path(artifact), whole / manifest_path(artifact).name)
            shutil.rmtree(home / key, ignore_errors=True)
            whole.replace(home / key)


def entries() -> list[Entry]:
    """Return what the cache holds, the newest first."""
    found = [
        Entry(folder.name, artifact.name, artifact, size_of(artifact), folder.stat().st_mtime)
        for folder in _folders()
        for artifact in folder.iterdir()
        if manifest_path(artifact).is_file()
    ]
    return sorted(found, key=lambda entry: entry.created, reverse=True)


def clear() -> int:
    """Remove every entry; return how many there were.

    Raises
    ------
    UsageError
        One cannot be removed.
    """
    count = len(entries())
    home = cache_dir()
    try:
        if home.is_dir():
            shutil.rmtree(home)
    except OSError as error:
        raise UsageError(f"{home} cannot be emptied", why=error.strerror or str(error)) from None
    return count


def model_packages(model: str) -> tuple[str, ...]:
    """Return the distributions beside lightmobile and torch that a model's code is from."""
    return ("timm",) if is_timm(model) else ()


def versions_of(*packages: str) -> dict[str, str]:
    """Return the installed versions of distributions, without importing them."""
    found = {}
    for package in ("lightmobile", *packages):
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def copy(source: Path, destination: Path) -> None:
    """Copy a file or a folder to a new place."""
    if source.is_dir():
        shutil.copytree(source, destination)
    else:
        shutil.copyfile(source, destination)


def _folders() -> Iterator[Path]:
    home = cache_dir()
    if home.is_dir():
        yield from (f for f in home.iterdir() if f.is_dir() and not f.name.startswith("."))


def _sources_sha256(module: str) -> str:
    # Our sources, and the model's own where another package brings it.
    files: set[Path] = set()
    for package in ("lightmobile.models", "lightmobile.export"):
        spec = find_spec(package)
        for folder in (spec and spec.submodule_search_locations) or ():
            files.update(Path(folder).rglob("*.py"), Path(folder).rglob("*.toml"))
    spec = find_spec(module)
    if spec and spec.origin:
        files.add(Path(spec.origin))
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(f"{file.name}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
