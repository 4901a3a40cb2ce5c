"""The runners, compiled for arm64 phones, and the check that nothing is missing beside them."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from lightmobile.device_bench.bundle.debian import library
from lightmobile.device_bench.bundle.finding import native_folder
from lightmobile.device_bench.bundle.tools import COMPILER, run_tool
from lightmobile.device_bench.bundle.wheels import Wheel
from lightmobile.errors import UsageError

__all__ = ["RUNNERS", "check_whole", "compile_runners", "compiler"]

RUNNERS = ("executorch_runner", "litert_runner")

_TIMEOUT_S = 600.0
_BINUTILS = COMPILER.removesuffix("g++")


def compile_runners(work: Path, debian: Path, executorch: Wheel, litert: Wheel) -> list[Path]:
    """Return the runners, made in `work`: the same bytes wherever that is.

    Parameters
    ----------
    debian
        Where Debian's packages are unpacked, below `work`.
    executorch, litert
        The unpacked wheels, below `work`.
    """
    native, build = native_folder(), work / "build"
    options = {
        "CMAKE_TOOLCHAIN_FILE": native / "toolchains" / "aarch64.cmake",
        "CMAKE_BUILD_TYPE": "Release",
        "EXECUTORCH_WHEEL": executorch.folder / "executorch",
        "EXECUTORCH_VERSION": executorch.pin.version,
        "LITERT_WHEEL": litert.folder / "ai_edge_litert",
        "LITERT_VERSION": litert.pin.version,
        # They run through the loader, which is told where the libraries are; a path would tell
        # where they were built.
        "CMAKE_SKIP_RPATH": "ON",
        "MD": library(debian, "libmd.a"),
        "JSON_INCLUDE": debian / "usr" / "include",
    }
    # In place of what the user's own environment adds.
    environment = {"CXXFLAGS": "", "LDFLAGS": ""}
    configure: list[str | Path] = ["cmake", "-S", native, "-B", build, "-G", "Unix Makefiles"]
    configure += [f"-D{name}={value}" for name, value in options.items()]
    make: list[str | Path] = ["cmake", "--build", build, "--parallel", str(os.cpu_count() or 1)]
    for words in (configure, make):
        run_tool(
            words,
            doing="compile the runners",
            folder=work,
            timeout_s=_TIMEOUT_S,
            environment=environment,
        )
    runners = [build / name for name in RUNNERS]
    strip: list[str | Path] = [f"{_BINUTILS}strip", *runners]
    run_tool(strip, doing="strip the runners", folder=work, timeout_s=_TIMEOUT_S)
    return runners


def compiler(folder: Path) -> str:
    """Return the compiler's name and version, in a line."""
    said = run_tool([COMPILER, "--version"], doing="say its version", folder=folder, timeout_s=60)
    return said.partition("\n")[0]


def check_whole(folder: Path) -> None:
    """Check that every library that a file of `folder` loads is there, and new enough.

    Raises
    ------
    UsageError
        One is missing, or older than what it is loaded for.
    """
    parts = {file.name: _linked(file) for file in sorted(folder.iterdir())}
    for name, part in parts.items():
        for needed in sorted(part.needed | part.wanted.keys()):
            if needed not in parts:
                raise UsageError(f"{name} needs {needed}", why="the bundle would have none")
            if old := sorted(part.wanted.get(needed, set()) - parts[needed].defined):
                raise UsageError(
                    f"{name} needs a newer {needed}",
                    why=f"that of the bundle lacks {', '.join(old)}",
                    fix="Build on the Debian release that the pins are from, or pin another's: "
                    "`lightmobile runners refresh`",
                )


@dataclass
class _Linked:
    needed: set[str] = field(default_factory=set)
    wanted: dict[str, set[str]] = field(default_factory=dict)
    defined: set[str] = field(default_factory=set)


def _linked(file: Path) -> _Linked:
    """Return what a file loads, which versions of symbols it wants of that, and which it has."""
    words: list[str | Path] = [f"{_BINUTILS}objdump", "-p", file]
    said = run_tool(words, doing=f"read {file.name}", folder=file.parent, timeout_s=60)
    part = _Linked(needed=set(re.findall(r"^  NEEDED +(\S+)$", said, re.MULTILINE)))
    definitions, _, references = said.partition("Version References:")
    _, _, definitions = definitions.partition("Version definitions:")
    part.defined = set(re.findall(r"^\d+ 0x\w+ 0x\w+ (\S+)", definitions, re.MULTILINE))
    for block in references.split("required from ")[1:]:
        owner, _, lines = block.partition(":")
        part.wanted[owner] = set(re.findall(r"0x\w+ 0x\w+ \d+ (\S+)", lines))
    return part
