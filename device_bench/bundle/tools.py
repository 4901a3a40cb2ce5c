"""The programs that build a bundle."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from lightmobile.errors import UsageError

__all__ = ["COMPILER", "check_tools", "run_tool"]

COMPILER = "aarch64-linux-gnu-g++"

# By Debian's packages of them; the compiler's brings strip and objdump.
_FETCHING = {"apt-get": "apt", "apt-cache": "apt", "dpkg-deb": "dpkg"}
_COMPILING = {"cmake": "cmake", "make": "make", COMPILER: "g++-aarch64-linux-gnu"}

_SHOWN_LINES = 12


def check_tools(*, compiling: bool) -> None:
    """Check that everything is there that fetches, and where `compiling`, builds.

    Raises
    ------
    UsageError
        Something is missing: it names all of that, and how to install it.
    """
    wanted = _FETCHING | (_COMPILING if compiling else {})
    missing = [name for name in wanted if shutil.which(name) is None]
    has_pip = find_spec("pip") is not None
    if not missing and has_pip:
        return
    fixes = []
    if any(name in _FETCHING for name in missing):
        fixes.append("Build them on Debian, or install a release's wheel, which carries them")
    elif missing:
        packages = sorted({wanted[name] for name in missing})
        fixes.append(f"`apt-get install {' '.join(packages)}`")
    if not has_pip:
        fixes.append(f"`{sys.executable} -m ensurepip`, or `uv pip install pip`")
    raise UsageError(
        "The runners for phones cannot be built here",
        why="missing: " + ", ".join([*missing, *([] if has_pip else ["pip in this environment"])]),
        fix="; ".join(fixes),
    )


def run_tool(
    words: Sequence[str | Path],
    *,
    doing: str,
    folder: Path,
    timeout_s: float,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Return what a program printed; whatever it started ends with it, or with us.

    Raises
    ------
    UsageError
        It failed or took longer than `timeout_s`; the reason is the end of what it said.
    """
    process = subprocess.Popen(
        [str(word) for word in words],
        cwd=folder,
        # What programs say in other languages cannot be read.
        env={**os.environ, "LC_ALL": "C.UTF-8", **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
        # Out of the terminal's reach: Ctrl-C reaches us, and we end it with all of its children.
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        raise UsageError(
            f"{words[0]} took longer than {timeout_s:.0f} s to {doing}",
            fix="Check the network, and try again",
        ) from None
    finally:
        _kill(process)
    if process.returncode:
        lines = (out + err).strip().splitlines()
        raise UsageError(
            f"{words[0]} could not {doing}",
            why="\n".join(lines[-_SHOWN_LINES:]) or f"exit code {process.returncode}",
        )
    return out


def _kill(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        if sys.platform == "win32":
            process.kill()
        else:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
