"""The append-only file of results: JSON lines, each on disk before the next is measured."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic import ValidationError

from lightmobile.device_bench.file_lock import locked
from lightmobile.device_bench.schema import Line, parse_line
from lightmobile.errors import LightmobileWarning, UsageError

__all__ = ["Store", "StoreWarning", "default_path"]

_BLOCK = 1 << 16
_NAMED = 5


class StoreWarning(LightmobileWarning):
    """Part of a store is damaged; what is whole is used, and nothing is deleted."""


def default_path() -> Path:
    """Return the user's own store; the environment's ``LIGHTMOBILE_STORE`` overrides it."""
    if chosen := os.environ.get("LIGHTMOBILE_STORE"):
        return Path(chosen)
    import platformdirs

    return platformdirs.user_data_path("lightmobile", appauthor=False) / "results.jsonl"


class Store:
    """A file of results that any number of processes may append to.

    A process that is killed, or a machine that loses power, can leave the last line half-written.
    Readers leave such a line out with a warning; the next append moves it to a file beside the
    store (`damaged_path`) before it writes, so that it neither is lost nor spoils the next line.

    Parameters
    ----------
    path
        The file; `default_path` where None. It need not exist.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.path = Path(path) if path is not None else default_path()

    @property
    def damaged_path(self) -> Path:
        """Where half-written lines are kept: ``results.jsonl.damaged``."""
        return self.path.with_name(self.path.name + ".damaged")

    def append(self, *lines: Line) -> None:
        """Put `lines` on disk, all or none; when it returns they survive a loss of power.

        Raises
        ------
        UsageError
            The file cannot be written or the disk is full; the store is as it was.
        """
        text = "".join(line.to_json() + "\n" for line in lines).encode()
        with self._errors("written"):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with io.FileIO(self.path, "a+") as file, locked(file.fileno()):
                _write_all_or_nothing(file, self._repair(file) + text)

    def read(self) -> list[Line]:
        """Return the whole lines in their order; none where the file does not exist.

        Damaged lines are left out with a `StoreWarning` that gives their numbers.

        Raises
        ------
        UsageError
            The file cannot be read, or a later version of lightmobile wrote it.
        """
        lines: list[Line] = []
        damage: dict[int, str] = {}
        for number, text in self._texts():
            try:
                lines.append(parse_line(text))
            except ValidationError as error:
                half = "" if text.endswith(b"\n") else "half-written: "
                damage[number] = half + error.errors(include_input=False)[0]["msg"]
        if damage:
            warnings.warn(self._describe(damage), StoreWarning, stacklevel=2)
        return lines

    def _texts(self) -> Iterator[tuple[int, bytes]]:
        with self._errors("read"):
            if self.path.exists():
                with self.path.open("rb") as file:
                    yield from ((n, text) for n, text in enumerate(file, start=1) if text.strip())

    def _describe(self, damage: dict[int, str]) -> str:
        named = [f"line {number} ({why})" for number, why in list(damage.items())[:_NAMED]]
        more = [f"{len(damage) - _NAMED} more"] if len(damage) > _NAMED else []
        return f"{self.path.name}: damaged and left out: {', '.join(named + more)}"

    def _repair(self, file: io.FileIO) -> bytes:
        """Move a half-written last line aside; return the line break that a whole one lacks."""
        start, last = _unfinished(file)
        if not last:
            return b""
        try:
            parse_line(last)
        except ValidationError:
            with self.damaged_path.open("ab") as aside:
                aside.write(last + b"\n")
                aside.flush()
                os.fsync(aside.fileno())
            file.truncate(start)
            warnings.warn(
                f"{self.path.name}: its last line was half-written; "
                f"moved to {self.damaged_path.name}",
                StoreWarning,
                stacklevel=3,
            )
            return b""
        return b"\n"

    @contextmanager
    def _errors(self, done: str) -> Iterator[None]:
        try:
            # A pipe or a device would block, or swallow what it is given.
            if self.path.exists() and not self.path.is_file():
                raise OSError(None, "it is not a regular file")
            yield
        except OSError as error:
            raise UsageError(
                f"The store {self.path} cannot be {done}",
                why=error.strerror or str(error),
                fix="Give another --store, or set LIGHTMOBILE_STORE",
            ) from None


def _unfinished(file: io.FileIO) -> tuple[int, bytes]:
    """Return what follows the last line break, and where it starts."""
    end = start = file.seek(0, os.SEEK_END)
    text = b""
    while start > 0 and b"\n" not in text:
        block = min(_BLOCK, start)
        start = file.seek(start - block)
        text = file.read(block) + text
    last = text.rpartition(b"\n")[2]
    return end - len(last), last


def _write_all_or_nothing(file: io.FileIO, text: bytes) -> None:
    end = file.seek(0, os.SEEK_END)
    rest = memoryview(text)
    try:
        while rest:
            rest = rest[file.write(rest) :]
        os.fsync(file.fileno())
    except BaseException:
        with suppress(OSError):
            file.truncate(end)
        raise
