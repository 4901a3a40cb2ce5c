"""Debian's arm64 packages, by its own client, which never touches this system's state."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from lightmobile.device_bench.bundle.pins import DebianPin, check_pin
from lightmobile.device_bench.bundle.tools import run_tool
from lightmobile.errors import UsageError

__all__ = ["Archive", "library", "unpack"]

_TIMEOUT_S = 300.0
_LIBRARIES = ("lib/aarch64-linux-gnu", "usr/lib/aarch64-linux-gnu")


class Archive:
    """What this system's package sources offer for arm64.

    Parameters
    ----------
    folder
        A new folder, for the lists of packages and what is downloaded.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for part in ("state/lists/partial", "cache/archives/partial"):
            (folder / part).mkdir(parents=True)
        (folder / "status").touch()
        options = {
            "Dir::State": folder / "state",
            "Dir::State::status": folder / "status",
            "Dir::Cache": folder / "cache",
            "APT::Architecture": "arm64",
            "APT::Architectures": "arm64",
            # Its download user may not enter a private folder.
            "APT::Sandbox::User": "root",
            "Acquire::Languages": "none",
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
            "Acquire::Retries": "3",
        }
        self._options = [f"-o{name}={value}" for name, value in options.items()]
        self._said = self._run("apt-get", "update", doing="read the lists of packages")

    def pin(self, package: str, files: tuple[str, ...]) -> DebianPin:
        """Return a pin of the newest `package`."""
        offered = self._offered(package, "--no-all-versions")
        if not offered:
            raise self._offers_none(package)
        fields = offered[0]
        # "gcc-12", "glibc (2.36-9)", or nothing where both are called the same.
        source, _, version = fields.get("Source", package).partition(" ")
        return DebianPin(
            package=package,
            version=fields["Version"],
            source=source,
            source_version=version.strip("()") or fields["Version"],
            sha256=fields["SHA256"],
            files=files,
        )

    def download(self, pins: Iterable[DebianPin]) -> dict[str, Path]:
        """Return the packages that `pins` mean, by name, each checked.

        Raises
        ------
        UsageError
            The archive no longer has one, or has another under its name and version.
        """
        pins = tuple(pins)
        for pin in pins:
            self._check_offered(pin)
        names = [f"{pin.package}={pin.version}" for pin in pins]
        self._run("apt-get", "download", *names, doing="download Debian's packages")
        found = {}
        for pin in pins:
            (file,) = self._folder.glob(f"{pin.package}_*.deb")
            check_pin(file, pin)
            found[pin.package] = file
        return found

    def _check_offered(self, pin: DebianPin) -> None:
        versions = [fields["Version"] for fields in self._offered(pin.package)]
        if not versions:
            raise self._offers_none(pin.package)
        if pin.version not in versions:
            raise UsageError(
                f"Debian's archive no longer has {pin.package} {pin.version} for arm64",
                why=f"it has {', '.join(versions)}: old versions go when new ones come",
                fix="`lightmobile runners refresh` pins the new ones",
            )

    def _offered(self, package: str, *words: str) -> list[dict[str, str]]:
        try:
            said = self._run("apt-cache", "show", *words, package, doing="look")
        except UsageError:  # it knows no such package
            return []
        return [
            dict(re.findall(r"^([A-Za-z0-9-]+): (.+)$", stanza, re.MULTILINE))
            for stanza in said.strip().split("\n\n")
        ]

    def _offers_none(self, package: str) -> UsageError:
        return UsageError(
            f"This system's package sources offer no {package} for arm64",
            why=self._said.strip()[-1000:],
            fix="Check the network, and that they are Debian's",
        )

    def _run(self, program: str, *words: str, doing: str) -> str:
        command = [program, "-q", *self._options, *words]
        return run_tool(command, doing=doing, folder=self._folder, timeout_s=_TIMEOUT_S)


def unpack(package: Path, folder: Path) -> None:
    """Unpack what a package installs into `folder`."""
    words: list[str | Path] = ["dpkg-deb", "-x", package, folder]
    run_tool(words, doing=f"unpack {package.name}", folder=folder, timeout_s=_TIMEOUT_S)


def library(folder: Path, name: str) -> Path:
    """Return the library `name` of the packages unpacked in `folder`.

    Raises
    ------
    UsageError
        They have none.
    """
    for place in _LIBRARIES:
        file = (folder / place / name).resolve()
        if file.is_file() and file.is_relative_to(folder.resolve()):
            return file
    raise UsageError(
        f"Debian's packages hold no {name}",
        fix="Check the names of packages and files in pins.toml",
    )
