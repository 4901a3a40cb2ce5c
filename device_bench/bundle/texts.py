"""What goes along with other people's programs: their licences, and where their sources are."""

from __future__ import annotations

import re
from importlib.metadata import distribution
from pathlib import Path

from lightmobile import __version__
from lightmobile.device_bench.bundle.compiling import RUNNERS
from lightmobile.device_bench.bundle.parts import Parts
from lightmobile.device_bench.bundle.pins import DebianPin
from lightmobile.device_bench.bundle.wheels import Wheel
from lightmobile.errors import UsageError

__all__ = ["licences", "sources"]

# Or, where lightmobile is installed, a folder without a licence.
_CHECKOUT = Path(__file__).parents[2]

# Debian's copyright files refer to the texts that every Debian system has there.
_COMMON = Path("/usr/share/common-licenses")
_REFERENCE = re.compile(rf"{_COMMON}/([A-Za-z0-9.-]*[A-Za-z0-9])")


def licences(parts: Parts) -> dict[str, bytes]:
    """Return the texts of all licences by names of files.

    Raises
    ------
    UsageError
        A part comes without one.
    """
    texts = {}
    for pin in parts.pins.debian:
        file = _copyright(parts.debian, pin)
        # Several packages share the file of the one that they are built with.
        texts[f"debian-{file.parent.name}"] = _read(file)
    referred = {name for text in texts.values() for name in _REFERENCE.findall(text.decode())}
    texts |= {f"common-{name}": _read(_COMMON / name) for name in referred}
    for project, wheel in parts.wheels.items():
        found = wheel.licences()
        if not found:
            raise UsageError(f"The wheel of {project} comes without a licence")
        texts |= {f"{project}-{file.name}": _read(file) for file in found}
    return texts | {"lightmobile-LICENSE": _own_licence()}


def sources(parts: Parts) -> str:
    """Return who made what of the bundle, and who offers its source."""
    blocks = [_built(parts)]
    blocks += [_of_package(pin) for pin in parts.pins.debian if pin.files]
    blocks += [_of_wheel(wheel) for wheel in parts.wheels.values()]
    return "\n".join(blocks)


def _built(parts: Parts) -> str:
    lines = [
        ", ".join(RUNNERS),
        f"    built from lightmobile {__version__}, folder",
        "    device_bench/runners/native, with these packages of Debian:",
    ]
    lines += [
        f"    {pin.package} {pin.version}, {_offer(pin)}"
        for pin in parts.pins.debian
        if not pin.files
    ]
    return "\n".join(lines) + "\n"


def _of_package(pin: DebianPin) -> str:
    return (
        f"{', '.join(pin.files)}\n"
        f"    unchanged, from Debian's package {pin.package} {pin.version} for arm64,\n"
        f"    SHA-256 {pin.sha256}\n"
        f"    {_offer(pin)}\n"
    )


def _offer(pin: DebianPin) -> str:
    return f"offered by Debian as source package {pin.source} {pin.source_version}"


def _of_wheel(wheel: Wheel) -> str:
    pin = wheel.pin
    lines = [
        ", ".join(Path(path).name for path in pin.files),
        f"    unchanged, from the wheel of {pin.project} {pin.version} for {pin.platform},",
        f"    SHA-256 {pin.sha256}",
        f"    sources: release {pin.version} of the project {pin.project}, which says of itself:",
    ]
    return "\n".join([*lines, *(f"    {origin}" for origin in wheel.origins())]) + "\n"


def _copyright(debian: Path, pin: DebianPin) -> Path:
    """Return the copyright file of a package, which may be that of another one."""
    file = (debian / "usr" / "share" / "doc" / pin.package / "copyright").resolve()
    if not (file.is_file() and file.is_relative_to(debian.resolve())):
        raise UsageError(
            f"Debian's package {pin.package} comes without its licence",
            fix="Pin the package that holds it, too",
        )
    return file


def _own_licence() -> bytes:
    if (file := _CHECKOUT / "LICENSE").is_file():
        return _read(file)
    text = distribution("lightmobile").read_text("licenses/LICENSE")
    if text is None:
        raise UsageError("lightmobile was installed without its licence", fix="Install it again")
    return text.encode()


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsageError(
            f"A licence cannot be read: {file}", why=error.strerror or str(error)
        ) from None
