"""The parts of a bundle that others made, each pinned by version and SHA-256: ``pins.toml``."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from lightmobile.errors import UsageError

__all__ = ["PINS", "DebianPin", "Pins", "WheelPin", "check_pin", "read_pins", "write_pins"]

#: The package's own.
PINS = Path(__file__).with_name("pins.toml")

_LIMIT_BYTES = 100_000

# None of them can be an option, a path upwards, or two words.
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9+._-]*$", max_length=100)]
Version = Annotated[str, StringConstraints(pattern=r"^[0-9][0-9A-Za-z.+:~-]*$", max_length=100)]
Inside = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_]+(/[A-Za-z0-9_][A-Za-z0-9+._-]*)+$", max_length=200),
]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DebianPin(_Part):
    """A package of Debian; its copyright file always goes along."""

    package: Name
    version: Version
    source: Name = Field(description="the source package")
    source_version: Version
    sha256: Sha256
    files: tuple[Name, ...] = Field(description="libraries that go to the phone")


class WheelPin(_Part):
    """A wheel for aarch64."""

    project: Name
    version: Version
    platform: Name = Field(description="its platform tag")
    sha256: Sha256
    files: tuple[Inside, ...] = Field(description="libraries that go to the phone")


class Pins(_Part):
    """Every part."""

    debian: tuple[DebianPin, ...]
    wheel: tuple[WheelPin, ...]

    @model_validator(mode="after")
    def _check_runtimes(self) -> Self:
        if sorted(pin.project for pin in self.wheel) != ["ai-edge-litert", "executorch"]:
            raise ValueError("it pins other wheels than executorch and ai-edge-litert")
        return self


def read_pins(file: Path = PINS) -> Pins:
    """Return the pins of `file`.

    Raises
    ------
    UsageError
        It cannot be read, or says something else than pins.
    """
    try:
        with file.open("rb") as opened:
            text = opened.read(_LIMIT_BYTES).decode()
        return Pins.model_validate(tomllib.loads(text))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{file} holds no pins",
            why=_why(error),
            fix="Correct or remove it; `lightmobile runners refresh --pins FILE` makes a good one",
        ) from None


def _why(error: OSError | ValueError) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return ": ".join([*(".".join(map(str, first["loc"])),) * bool(first["loc"]), first["msg"]])
    return error.strerror or "" if isinstance(error, OSError) else str(error)


def write_pins(pins: Pins, file: Path) -> None:
    """Write `pins` as ``pins.toml``; `file` is replaced as a whole or not at all."""
    lines = [
        "# The parts of a bundle that others made. `lightmobile runners refresh` renews the Debian",
        "# ones and every hash; the wheels' versions are the ones that pyproject.toml asks for.",
    ]
    for kind, parts in (("debian", pins.debian), ("wheel", pins.wheel)):
        for part in parts:
            lines += ["", f"[[{kind}]]"]
            lines += [f"{key} = {_toml(value)}" for key, value in part.model_dump().items()]
    new = file.with_name(f".{file.name}.new")
    try:
        new.write_text("\n".join(lines) + "\n", "utf-8")
        new.replace(file)
    finally:
        new.unlink(missing_ok=True)


def _toml(value: Any) -> str:
    # The patterns above leave nothing to escape.
    if isinstance(value, str):
        return f'"{value}"'
    if not value:
        return "[]"
    return "[\n" + "".join(f'    "{each}",\n' for each in value) + "]"


def check_pin(file: Path, pin: DebianPin | WheelPin) -> None:
    """Check that `file` is the part that `pin` means.

    Raises
    ------
    UsageError
        It is another one.
    """
    with file.open("rb") as opened:
        sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
    if sha256 != pin.sha256:
        raise UsageError(
            f"{file.name} is not what was pinned",
            why=f"its SHA-256 is {sha256}, not {pin.sha256}",
            fix="Do not use it. If the archive has renewed it on purpose: "
            "`lightmobile runners refresh`",
        )
