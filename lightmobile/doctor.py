"""What is installed and usable here: read from metadata and the file system, nothing imported."""

from __future__ import annotations

import os
import platform
import shutil
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

__all__ = ["Check", "diagnose"]

# FasterNet-L (94 M parameters) in three artifacts of up to 4 bytes each, once in place and once
# in the cache, beside the weights handed to the exporters.
_ROOM_BYTES = 3 * 10**9


@dataclass(frozen=True)
class Check:
    """One piece that something needs.

    Attributes
    ----------
    ok
        It is there and as it should be.
    found
        Its version or place; empty where it is missing.
    enables
        What can be done with it.
    fix
        How to get it; empty where it is ok.
    """

    name: str
    ok: bool
    found: str
    enables: str
    fix: str = ""

    def to_dict(self) -> dict[str, object]:
        """Return what ``lightmobile doctor --json`` prints of it."""
        return asdict(self)


class _Package(NamedTuple):
    name: str
    module: str
    extra: str
    enables: str


_PACKAGES = (
    _Package("torch", "torch", "", "all models, and what artifacts are compared with"),
    _Package("executorch", "executorch", "executorch", "export to ExecuTorch, and running it"),
    _Package("coremltools", "coremltools", "coreml", "export to Core ML; running it needs macOS"),
    _Package("litert-torch", "litert_torch", "tflite", "export to TFLite"),
    _Package("ai-edge-litert", "ai_edge_litert", "tflite", "running TFLite"),
    _Package("scikit-learn", "sklearn", "photos", "photographs for verification"),
)


def diagnose() -> list[Check]:
    """Return a check of each piece, what everything needs first."""
    return [
        _python(),
        *(_package(package) for package in _PACKAGES),
        _timm(),
        _adb(),
        *_places(),
    ]


def _python() -> Check:
    found = platform.python_version()
    try:
        declared = metadata("lightmobile").get_all("Requires-Python") or ()
    except PackageNotFoundError:
        declared = ()
    tested = SpecifierSet(",".join(declared))
    return _versioned("python", found, tested, "lightmobile", f"Install Python {tested}")


def _package(package: _Package) -> Check:
    tested = _tested_versions(package)
    if tested is None:
        fix = f"It is not offered for {platform.system()}; export on Linux or macOS"
        return Check(package.name, False, "", package.enables, fix)
    install = f'pip install "lightmobile[{package.extra}]"' if package.extra else ""
    install = install or f'pip install "{package.name}{tested}"'
    try:
        found = version(package.name)
    except PackageNotFoundError:
        return Check(package.name, False, "", package.enables, install)
    if find_spec(package.module) is None:
        fix = f'pip install --force-reinstall "{package.name}=={found}"'
        return Check(package.name, False, f"{found}, but damaged", package.enables, fix)
    exactly = f'pip install "{package.name}{tested}"'
    return _versioned(package.name, found, tested, package.enables, exactly)


def _versioned(name: str, found: str, tested: SpecifierSet, enables: str, fix: str) -> Check:
    if tested.contains(found, prereleases=True):
        return Check(name, True, found, enables)
    return Check(name, False, f"{found}, tested is {tested}", enables, fix)


def _tested_versions(package: _Package) -> SpecifierSet | None:
    """Return the versions that lightmobile's metadata asks for; None where not on this system."""
    try:
        declared = map(Requirement, requires("lightmobile") or ())
    except PackageNotFoundError:
        return SpecifierSet()
    for requirement in declared:
        if requirement.name == package.name:
            marker = requirement.marker
            if marker is None or marker.evaluate({"extra": package.extra}):
                return requirement.specifier
    return None


def _timm() -> Check:
    # It is no requirement of ours, for it has another torch for one of its own.
    from lightmobile.models.bridges.timm_import import INSTALL, VERSION

    enables = "models timm:NAME"
    try:
        found = version("timm")
    except PackageNotFoundError:
        return Check("timm", False, "", enables, INSTALL)
    return _versioned("timm", found, SpecifierSet(f"=={VERSION}"), enables, INSTALL)


def _adb() -> Check:
    # adbutils carries one, for the systems that its wheels are for.
    package = find_spec("adbutils")
    folder = Path(package.origin).parent / "binaries" if package and package.origin else None
    found = shutil.which("adb") or (folder and shutil.which("adb", path=str(folder)))
    fix = "" if found else "pip install 'lightmobile[android]', or put Android's adb on the PATH"
    return Check("adb", bool(found), found or "", "phones attached by USB or network", fix)


def _places() -> list[Check]:
    from lightmobile.device_bench.store import default_path
    from lightmobile.export.cache import cache_dir

    cache, store = cache_dir(), default_path()
    return [
        _writable("cache", cache, "instant repeated exports", "LIGHTMOBILE_CACHE"),
        _writable("store", store, "keeping results", "LIGHTMOBILE_STORE"),
        _disk(cache),
    ]


def _writable(name: str, place: Path, enables: str, variable: str) -> Check:
    """Check that `place` can be written, or made, without making it."""
    fix = "" if _may_write(place) else f"Set {variable} to a place that you may write"
    return Check(name, not fix, str(place), enables, fix)


def _may_write(place: Path) -> bool:
    base = _existing(place)
    if base != place and not base.is_dir():
        return False
    return os.access(base, os.W_OK)


def _disk(cache: Path) -> Check:
    free = shutil.disk_usage(_existing(cache)).free
    fix = "" if free >= _ROOM_BYTES else "Free some, or set LIGHTMOBILE_CACHE to another disk"
    found = f"{free / 1e9:.1f} GB free"
    return Check("disk space", not fix, found, "exports of the largest models", fix)


def _existing(place: Path) -> Path:
    return next(folder for folder in (place, *place.absolute().parents) if folder.exists())
