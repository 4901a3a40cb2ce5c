"""An adb server of the tests' own: another port, another home, and no look at real phones."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["AdbServer", "adb_program"]

_START_S = 10.0


def adb_program() -> Path | None:
    """Return the adb that the package adbutils carries; None where it is not installed."""
    try:
        import adbutils
    except ImportError:
        return None
    program = Path(adbutils.__file__).parent / "binaries" / "adb"
    return program if os.access(program, os.X_OK) else None


class AdbServer:
    """A private adb server; :attr:`env` makes every client use it.

    Parameters
    ----------
    home
        A new folder: its keys, its log.
    """

    def __init__(self, home: Path) -> None:
        program = adb_program()
        if program is None:
            raise FileNotFoundError("adb of the package adbutils")
        self.program = program
        self.home = home
        home.mkdir(parents=True, exist_ok=True)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def env(self) -> dict[str, str]:
        """The variables, beside the usual ones, of a process that shall use this server."""
        return {
            "ANDROID_ADB_SERVER_PORT": str(self.port),
            "HOME": str(self.home),
            "TMPDIR": str(self.home),
            "PATH": os.pathsep.join([str(self.program.parent), os.environ["PATH"]]),
            # No emulator, no USB phone and no phone of the network is this server's.
            "ADB_LOCAL_TRANSPORT_MAX_PORT": "5553",
            "ADB_EMU": "0",
            "ADB_USB": "0",
            "ADB_MDNS": "0",
            "ADB_MDNS_AUTO_CONNECT": "0",
        }

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        with (self.home / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self.program, "-P", str(self.port), "server", "nodaemon"],
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_S
        while not self.is_running:
            if time.monotonic() > deadline or self._process.poll() is not None:
                said = (self.home / "server.log").read_text(errors="replace")
                raise RuntimeError(f"the adb server did not start: {said}")
            time.sleep(0.01)

    @property
    def is_running(self) -> bool:
        """Whether a server, this one or one that a client started, listens on the port."""
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False

    @property
    def is_ours(self) -> bool:
        """Whether the server that this object started still runs."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """Kill the server, as a crash does; a client may start another on its port."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """End the server, and one that a client has started in its place."""
        if self.is_running:
            self.adb("kill-server")
        self.kill()

    def adb(
        self, *words: object, timeout_s: float = 30.0, data: bytes | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run adb to its end, with `data` as its standard input."""
        return subprocess.run(
            [str(self.program), *map(str, words)],
            env=self._environment(),
            input=data,
            stdin=subprocess.DEVNULL if data is None else None,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )

    def start_adb(self, *words: object) -> subprocess.Popen[bytes]:
        """Start adb, with pipes for its standard streams."""
        return subprocess.Popen(
            [str(self.program), *map(str, words)],
            env=self._environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def devices(self) -> dict[str, str]:
        """Return the state of each phone, by its serial."""
        lines = self.adb("devices").stdout.decode().splitlines()[1:]
        return dict(line.split("\t", 1) for line in lines if "\t" in line)

    def _environment(self) -> Mapping[str, str]:
        ours = ("ADB_", "ANDROID_")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
        return {**kept, **self.env}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
