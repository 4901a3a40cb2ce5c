"""Where a bundle lies: in the installed package, or in the user's cache."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightmobile.device_bench.bundle.manifest import read_bundle
from lightmobile.device_bench.bundle.pins import PINS
from lightmobile.errors import DeviceError

__all__ = [
    "Bundle",
    "built_folder",
    "carried_folder",
    "find_bundle",
    "native_folder",
    "open_bundle",
    "sources_sha256",
]

_PACKAGE = Path(__file__).parent


@dataclass(frozen=True)
class Bundle:
    """A bundle whose every file was checked.

    Attributes
    ----------
    files
        What goes to the phone, all into one folder there.
    versions
        Of the runtimes and libraries in it, by name.
    sources_sha256
        Over the runners' sources and the pins that it was built from.
    """

    folder: Path
    content_hash: str
    files: tuple[Path, ...]
    versions: dict[str, str]
    abi: str
    sources_sha256: str
    size_bytes: int

    @property
    def is_stale(self) -> bool:
        """Whether this lightmobile's sources would build another one."""
        return self.sources_sha256 != sources_sha256()

    def to_dict(self) -> dict[str, Any]:
        """Return what ``lightmobile runners info --json`` prints."""
        return {
            "folder": str(self.folder),
            "abi": self.abi,
            "content_hash": self.content_hash,
            "size_bytes": self.size_bytes,
            "files": [file.name for file in self.files],
            "versions": self.versions,
            "stale": self.is_stale,
        }


def find_bundle() -> Bundle:
    """Return the bundle that the installed package carries, or else the one that was built.

    Raises
    ------
    DeviceError
        There is none, or its files are not those that it was built with.
    """
    for folder in (carried_folder(), built_folder()):
        if folder.is_dir():
            return open_bundle(folder)
    raise DeviceError(
        "There are no runners for phones",
        why="this installation of lightmobile carries none, and none were built",
        fix="`lightmobile runners build` (on Debian), or install a release's wheel",
    )


def open_bundle(folder: Path) -> Bundle:
    """Return the bundle in `folder`.

    Raises
    ------
    DeviceError
        Its files are not those that it was built with.
    """
    manifest = read_bundle(folder)
    return Bundle(
        folder=folder,
        content_hash=manifest.content_hash,
        files=tuple(folder / file.path for file in manifest.files if file.is_pushed),
        versions=dict(manifest.versions),
        abi=manifest.abi,
        sources_sha256=manifest.sources_sha256,
        size_bytes=sum(file.size for file in manifest.files),
    )


def carried_folder() -> Path:
    """Return where a release's wheel carries its bundle."""
    return _PACKAGE / "aarch64"


def built_folder() -> Path:
    """Return where ``lightmobile runners build`` puts a bundle: a folder of the cache."""
    from lightmobile.export.cache import cache_dir

    return cache_dir().parent / "runners" / "aarch64"


def native_folder() -> Path:
    """Return the folder of the runners' sources."""
    return _PACKAGE.parent / "runners" / "native"


def sources_sha256(pins: Path = PINS) -> str:
    """Return the SHA-256 over what decides a bundle: the runners' sources and the pins."""
    digest = hashlib.sha256(pins.read_bytes())
    native = native_folder()
    for file in sorted(native.rglob("*")):
        if file.is_file() and not file.name.startswith("."):
            name = file.relative_to(native).as_posix()
            digest.update(f"{name}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
