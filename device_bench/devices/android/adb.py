"""The adb program and the server that it talks to; the user's server is never ended.

`adbutils` finds the program and asks the server; the program itself carries shells and files,
since it alone speaks the shell protocol with its standard error and exit status apart.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import IO, Any, TypeVar

from lightmobile.errors import DeviceError, UsageError

__all__ = ["Adb", "Done", "Listed"]

ASK_TIMEOUT_S = 10.0
START_TIMEOUT_S = 30.0

_HOST = "127.0.0.1"
_PORT = 5037
_INSTALL = "Install Android's platform-tools and put adb on the PATH"

_MOST_OUTPUT = 4 * 2**20
_END_S = 1.0

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Listed:
    """A line of ``adb devices``: `state` is ``device`` where the phone can be used."""

    serial: str
    state: str


@dataclass(frozen=True)
class Done:
    """What a run of the adb program left."""

    status: int
    stdout: str
    stderr: str


class Adb:
    """The adb program of this machine, and the server on ``ANDROID_ADB_SERVER_PORT``."""

    def __init__(self) -> None:
        self.port = _port()

    @cached_property
    def program(self) -> str:
        """The path of adb: from the PATH, else the one that adbutils carries.

        Raises
        ------
        DeviceError
            There is none, or it does not start.
        """
        adbutils = _adbutils()
        try:
            return str(adbutils.adb_path())
        except adbutils.AdbError as error:
            raise DeviceError("There is no adb", why=str(error), fix=_INSTALL) from None

    def phones(self) -> list[Listed]:
        """Return every phone that the server knows, in any state; a server is started if need be.

        Raises
        ------
        DeviceError
            There is no adb, the server does not answer, or it is of another version.
        """
        self.check_server()
        text = self._ask_server("host:devices")
        # A serial may hold blanks, and so may a state; the tab between them is the server's own.
        pairs = (line.partition("\t") for line in text.splitlines())
        return [Listed(serial, state.strip()) for serial, tab, state in pairs if tab]

    def check_server(self) -> None:
        """Start a server where none runs; refuse one that our adb would replace by its own.

        Raises
        ------
        DeviceError
            The server is of another version than the adb program.
        """
        if not self._server_runs():
            self.run(["start-server"], START_TIMEOUT_S)
        theirs = _number(self._ask_server("host:version"), base=16)
        printed = re.search(r"version 1\.0\.(\d+)", self.version)
        ours = int(printed[1]) if printed else None
        if ours != theirs:
            raise DeviceError(
                "The adb server is of another version than the adb program",
                why=f"The server on port {self.port} is 1.0.{theirs}, "
                f"{self.program} is 1.0.{ours}: the program would end the server, "
                "and whatever others do through it",
                fix="Put the adb that started the server first on the PATH, or end the server "
                "yourself with its own `adb kill-server`",
            )

    @cached_property
    def version(self) -> str:
        """What ``adb version`` prints."""
        return _run([self.program, "version"], ASK_TIMEOUT_S).stdout

    def features(self, serial: str) -> frozenset[str]:
        """Return what the phone `serial` and the server can both do, e.g. ``shell_v2``."""
        return frozenset(self._ask_server(f"host-serial:{serial}:features").split(","))

    def command(self, words: Sequence[str], serial: str | None = None) -> list[str]:
        """Return the command line of adb for `words`, for one phone where `serial` is given."""
        chosen = [] if serial is None else ["-s", serial]
        return [self.program, "-P", str(self.port), *chosen, *words]

    def run(self, words: Sequence[str], timeout_s: float, serial: str | None = None) -> Done:
        """Run adb to its end.

        Raises
        ------
        DeviceError
            It did not start, did not end in time, or printed without end, and was killed.
        """
        return _run(self.command(words, serial), timeout_s)

    def _server_runs(self) -> bool:
        try:
            with socket.create_connection((_HOST, self.port), timeout=ASK_TIMEOUT_S):
                return True
        except OSError:
            return False

    def _ask_server(self, question: str) -> str:
        """Return the server's answer, which its protocol limits to 64 KiB."""
        adbutils = _adbutils()
        client = adbutils.AdbClient(_HOST, self.port, socket_timeout=ASK_TIMEOUT_S)

        def ask() -> str:
            with client.make_connection() as connection:
                connection.send_command(question)
                connection.check_okay()
                return str(connection.read_string_block())

        return _translated(ask, adbutils.AdbError, self.port)


def _translated(ask: Callable[[], Answer], kind: type[Exception], port: int) -> Answer:
    try:
        return ask()
    except (kind, OSError, ValueError) as error:
        raise DeviceError(
            f"The adb server on port {port} does not answer as one",
            why=str(error) or type(error).__name__,
            fix="Check with `adb devices` that it runs, and ANDROID_ADB_SERVER_PORT if it is set",
        ) from None


def _adbutils() -> Any:
    try:
        import adbutils
    except ImportError:
        raise UsageError(
            "Phones need the package adbutils", fix="pip install 'lightmobile[android]'"
        ) from None
    return adbutils


def _port() -> int:
    text = os.environ.get("ANDROID_ADB_SERVER_PORT") or str(_PORT)
    if not text.isdecimal() or not 0 < (port := int(text)) < 2**16:
        raise UsageError(
            f"ANDROID_ADB_SERVER_PORT is {text!r}", why="It is no port", fix="Set it to a number"
        )
    return port


def _number(text: str, base: int) -> int | None:
    try:
        return int(text, base)
    except ValueError:
        return None


def _run(command: list[str], timeout_s: float) -> Done:
    try:
        # Out of the terminal's process group, so that Ctrl-C reaches this process only.
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise DeviceError(
            "adb cannot be started", why=f"{command[0]}: {error.strerror}", fix=_INSTALL
        ) from None
    output, errors = _Reader(process, process.stdout), _Reader(process, process.stderr)
    try:
        status = process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise DeviceError(
            f"adb did not end within {timeout_s:.0f} s, and was stopped",
            why=errors.text().strip()[-500:],
            fix="Reconnect the phone and try again",
        ) from None
    except BaseException:
        process.kill()
        process.wait()
        raise
    if output.is_full or errors.is_full:
        raise DeviceError(
            "adb printed without end, and was stopped",
            why=f"A command's answer has at most {_MOST_OUTPUT >> 20} MiB",
            fix="Check that the phone is the one that you mean",
        )
    return Done(status, output.text(), errors.text().strip())


class _Reader(threading.Thread):
    """Keeps what a process prints, and ends it where that is too much."""

    def __init__(self, process: subprocess.Popen[bytes], pipe: IO[bytes] | None) -> None:
        super().__init__(daemon=True)
        assert pipe is not None  # noqa: S101 - for the type checker
        self._process = process
        self._pipe = pipe
        self._kept = bytearray()
        self.is_full = False
        self.start()

    def run(self) -> None:
        with self._pipe:
            while piece := self._pipe.read1(1 << 16):  # type: ignore[attr-defined]
                self._kept += piece
                if len(self._kept) > _MOST_OUTPUT:
                    self.is_full = True
                    self._process.kill()
                    return

    def text(self) -> str:
        # A server that adb started may keep the pipe open: no waiting for its end.
        self.join(_END_S)
        return self._kept.decode(errors="replace")
