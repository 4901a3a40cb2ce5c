"""The runtimes' wheels for aarch64, by pip."""

from __future__ import annotations

import email
import hashlib
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path

from lightmobile.device_bench.bundle.pins import WheelPin, check_pin
from lightmobile.device_bench.bundle.tools import run_tool
from lightmobile.errors import UsageError

__all__ = ["Wheel", "download", "renewed"]

_TIMEOUT_S = 600.0
# Nothing of them is run by Python, so that one is as good as another.
_PYTHON = ("--python-version", "3.11", "--implementation", "cp", "--abi", "cp311")


class Wheel:
    """A wheel: its pinned files, headers and metadata, unpacked into a new folder."""

    def __init__(self, file: Path, pin: WheelPin, folder: Path) -> None:
        self.pin = pin
        self.folder = folder
        with zipfile.ZipFile(file) as opened:
            names = [name for name in opened.namelist() if _is_wanted(name, pin)]
            opened.extractall(folder, names)
        (self._info,) = folder.glob("*.dist-info")

    def library(self, path: str) -> Path:
        """Return one of its files.

        Raises
        ------
        UsageError
            It has no such file.
        """
        file = self.folder / path
        if not file.is_file():
            raise UsageError(
                f"The wheel of {self.pin.project} {self.pin.version} holds no {path}",
                fix="Correct pins.toml",
            )
        return file

    def licences(self) -> list[Path]:
        """Return the texts of its licences."""
        return sorted(file for file in (self._info / "licenses").rglob("*") if file.is_file())

    def origins(self) -> list[str]:
        """Return where its metadata says that its sources and makers are."""
        said = email.message_from_string((self._info / "METADATA").read_text("utf-8"))
        return [*said.get_all("Home-page", []), *said.get_all("Project-URL", [])]


def _is_wanted(name: str, pin: WheelPin) -> bool:
    return name in pin.files or "/include/" in name or ".dist-info/" in name


def download(pins: Iterable[WheelPin], folder: Path) -> dict[str, Path]:
    """Return the wheels that `pins` mean, by project, each checked.

    Raises
    ------
    UsageError
        One cannot be had.
    """
    pins = tuple(pins)
    asked = folder / "requirements.txt"
    lines = (f"{pin.project}=={pin.version} --hash=sha256:{pin.sha256}\n" for pin in pins)
    asked.write_text("".join(lines), "utf-8")
    _pip(folder, {pin.platform for pin in pins}, "--require-hashes", "-r", str(asked))
    found = {pin.project: _file(folder, pin) for pin in pins}
    for pin in pins:
        check_pin(found[pin.project], pin)
    return found


def renewed(pin: WheelPin, folder: Path) -> WheelPin:
    """Return `pin` with the hash of the wheel that its project, version and platform have now."""
    _pip(folder, {pin.platform}, f"{pin.project}=={pin.version}")
    with _file(folder, pin).open("rb") as opened:
        sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
    return pin.model_copy(update={"sha256": sha256})


def _pip(folder: Path, platforms: set[str], *words: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]
    command += ["download", "--quiet", "--no-deps", "--only-binary=:all:", *_PYTHON]
    command += [f"--platform={platform}" for platform in sorted(platforms)]
    command += ["--dest", str(folder), *words]
    run_tool(command, doing="download the wheels", folder=folder, timeout_s=_TIMEOUT_S)


def _file(folder: Path, pin: WheelPin) -> Path:
    (file,) = folder.glob(f"{pin.project.replace('-', '_')}-{pin.version}-*.whl")
    return file
