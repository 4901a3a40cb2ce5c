"""A phone's shell and files, through adb: every command is framed, timed and bounded.

``adb shell`` ends with status 0 when the phone is pulled out in the middle of a command, and what
had been printed looks whole. So a command ends by printing a random word and its status, and
without that line it failed.
"""

from __future__ import annotations

import re
import secrets
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from lightmobile.device_bench.devices.android.adb import Adb, Done
from lightmobile.errors import DeviceError

__all__ = ["PhoneLostError", "RefusedError", "Shell", "retried"]

COMMAND_TIMEOUT_S = 20.0
# USB 2 carries 30 MB/s, a poor hub or network some MB/s.
COPY_TIMEOUT_S = 60.0
COPY_BYTES_PER_S = 1e6

ATTEMPTS = 3
PAUSE_S = 0.5

_LARGEST = 2**30

Answer = TypeVar("Answer")


class PhoneLostError(DeviceError):
    """The connection to the phone broke; what was under way may or may not have happened."""


class RefusedError(DeviceError):
    """The phone ran a command, which failed.

    Parameters
    ----------
    status
        Its exit status.
    said
        What it printed, standard error last.
    """

    def __init__(self, what: str, status: int, said: str, fix: str = "") -> None:
        super().__init__(what, why=said or f"exit status {status}", fix=fix)
        self.status = status
        self.said = said


class Shell:
    """The shell of the phone `serial`."""

    def __init__(self, adb: Adb, serial: str) -> None:
        self.adb = adb
        self.serial = serial

    def run(self, script: str, *, timeout_s: float = COMMAND_TIMEOUT_S, doing: str = "") -> str:
        """Run `script` once, and return what it printed.

        Parameters
        ----------
        script
            Lines of POSIX shell; whatever is not ours in it went through :func:`shlex.quote`.
        doing
            What it is for, as the error tells it.

        Raises
        ------
        RefusedError
            It ended with another status than 0.
        PhoneLostError
            The connection broke before it ended.
        """
        end = f"end-{secrets.token_hex(8)}"
        framed = f"(\n{script}\n)\nprintf '\\n%s %d\\n' {end} $?"
        done = self.adb.run(["shell", "-T", framed], timeout_s, self.serial)
        printed, found, status = done.stdout.rpartition(f"\n{end} ")
        if not found or not status.strip().isdecimal():
            raise self._lost(done)
        if int(status) != 0:
            said = "\n".join(part for part in (printed.strip(), done.stderr) if part)[-1000:]
            raise RefusedError(f"{self.serial} cannot {doing or 'do that'}", int(status), said)
        return printed

    def ask(self, script: str, *, timeout_s: float = COMMAND_TIMEOUT_S, doing: str = "") -> str:
        """Run a `script` that may run twice: again where the connection broke, a few times."""
        return retried(lambda: self.run(script, timeout_s=timeout_s, doing=doing))

    def sections(self, scripts: Mapping[str, str], *, doing: str = "") -> dict[str, str]:
        """Run several short scripts in one round trip; return what each printed, by its name.

        One that fails, or whose program the phone lacks, has printed what it has: perhaps nothing.
        """
        word = secrets.token_hex(8)
        parts = [
            f"echo; echo {word} {name}; {{ {each}\n}} 2>/dev/null" for name, each in scripts.items()
        ]
        printed = self.ask("\n".join([*parts, "true"]), doing=doing)
        found = dict.fromkeys(scripts, "")
        for piece in printed.split(f"\n{word} ")[1:]:
            name, _, text = piece.partition("\n")
            found[name] = text.removesuffix("\n")
        return found

    def command(self, script: str) -> list[str]:
        """Return the command line that runs `script` with this process's streams as its own."""
        return self.adb.command(["shell", "-T", script], self.serial)

    def push(self, files: Sequence[Path], to: str) -> None:
        """Copy `files` into the folder `to` of the phone, or one to the path `to`.

        It is done again where the connection broke.

        Raises
        ------
        DeviceError
            They are not all there.
        """
        words = ["push", *(str(file.absolute()) for file in files), to]
        self._copy(words, sum(file.stat().st_size for file in files), "take what is pushed")

    def pull(self, path: str, file: Path) -> None:
        """Copy `path` of the phone to `file`.

        Raises
        ------
        DeviceError
            It is not there whole, or larger than anything of ours.
        """
        quoted = shlex.quote(path)
        size = int(self.ask(f"stat -c %s {quoted}", doing=f"give {path}"))
        if size > _LARGEST:
            raise DeviceError(f"{path} on {self.serial} is too large", why=f"{size} bytes")
        self._copy(["pull", path, str(file.absolute())], size, f"give {path}")
        if file.stat().st_size != size:
            raise DeviceError(f"{path} did not come whole from {self.serial}")

    def _copy(self, words: list[str], size: int, doing: str) -> None:
        timeout_s = COPY_TIMEOUT_S + size / COPY_BYTES_PER_S

        def copy() -> None:
            done = self.adb.run(words, timeout_s, self.serial)
            if done.status != 0:
                said = (done.stderr or done.stdout).strip()[-1000:]
                if _is_lost(said):
                    raise self._lost(done)
                raise RefusedError(
                    f"{self.serial} cannot {doing}", done.status, said, _advice(said)
                )

        retried(copy)

    def _lost(self, done: Done) -> DeviceError:
        why = done.stderr.removeprefix("adb: ").removeprefix("error: ")[-500:]
        return PhoneLostError(
            f"{self.serial} was lost",
            why=why or "The connection broke in the middle of a command",
            fix="Check the cable and `adb devices`, and run the same command again",
        )


def retried(step: Callable[[], Answer]) -> Answer:
    """Return what `step` returns; where the phone is lost, try again, for a bounded time."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return step()
        except PhoneLostError:
            if attempt == ATTEMPTS:
                raise
            time.sleep(PAUSE_S * attempt)
    raise AssertionError("unreachable")


def _is_lost(said: str) -> bool:
    """Tell a broken connection from a phone's own refusal, by adb's words but for quoted names."""
    words = re.sub(r"'[^']*'", "", said).lower()
    if "remote" in words:
        return False
    broken = (
        "not found",
        "offline",
        "closed",
        "fault",
        "no devices",
        "connection",
        "couldn't read",
    )
    return any(each in words for each in (*broken, "copy response", "eof"))


def _advice(said: str) -> str:
    if "No space left" in said:
        return "Free some of the phone's storage"
    return ""
