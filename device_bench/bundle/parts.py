"""The parts of a bundle that others made: downloaded, checked, unpacked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lightmobile.device_bench.bundle import wheels
from lightmobile.device_bench.bundle.debian import Archive, library, unpack
from lightmobile.device_bench.bundle.pins import Pins
from lightmobile.device_bench.bundle.wheels import Wheel

__all__ = ["Parts", "fetch"]


@dataclass(frozen=True)
class Parts:
    """Where the parts that `pins` mean are unpacked.

    Attributes
    ----------
    debian
        One folder for all of Debian's packages.
    wheels
        Each wheel, by project.
    """

    pins: Pins
    debian: Path
    wheels: dict[str, Wheel]

    def libraries(self) -> dict[str, Path]:
        """Return the libraries that go to the phone, by the names that they are loaded by."""
        found = {name: library(self.debian, name) for pin in self.pins.debian for name in pin.files}
        for wheel in self.wheels.values():
            found |= {Path(path).name: wheel.library(path) for path in wheel.pin.files}
        return found


def fetch(pins: Pins, folder: Path) -> Parts:
    """Return the parts, unpacked in `folder`.

    Raises
    ------
    UsageError
        One cannot be had, or is not what was pinned.
    """
    debian, downloaded = folder / "debian", folder / "downloaded"
    debian.mkdir()
    downloaded.mkdir()
    for package in Archive(folder / "apt").download(pins.debian).values():
        unpack(package, debian)
    files = wheels.download(pins.wheel, downloaded)
    unpacked = {
        pin.project: Wheel(files[pin.project], pin, folder / pin.project) for pin in pins.wheel
    }
    return Parts(pins, debian, unpacked)
