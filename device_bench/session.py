"""The host's side of a runner: one live process, asked line by line, never waited for for ever."""

from __future__ import annotations

import contextlib
import os
import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import IO, Any, Self

from lightmobile.device_bench.protocol import (
    Close,
    Failed,
    GetMemory,
    GetOutputs,
    Hello,
    Identity,
    Load,
    Loaded,
    MemoryUse,
    Outputs,
    Profile,
    Profiled,
    ProtocolError,
    Ran,
    Request,
    Run,
    parse_reply,
)
from lightmobile.errors import DeviceError

__all__ = ["RunnerError", "RunnerSession"]

# Longer than a cold import of torch from a slow disk, and a compilation by Core ML.
LOAD_TIMEOUT_S = 300.0
CLOSE_TIMEOUT_S = 2.0
# Of a request whose duration is unknown, and of one that took as long as it was expected to.
RUN_TIMEOUT_S = 300.0
SLOWNESS = 30.0
LIVENESS_S = 1.0

_LONGEST_REPLY = 256 * 2**20
_TAIL_BYTES = 2000
# As ExecuTorch and LiteRT begin a line that tells an error.
_COMPLAINT = re.compile(r"E \d\d:|ERROR: ")


class RunnerError(DeviceError):
    """A runner failed, died, hung or answered what is no answer; its session is over."""

    code = "runner"

    def __init__(self, stage: str, what: str, *, why: str = "") -> None:
        super().__init__(what, why=why)
        self.stage = stage


class RunnerSession:
    """A runner process, from its start to its end; use it in a ``with`` statement.

    Parameters
    ----------
    command
        Starts the runner.
    env
        Its whole environment; this process's where None.

    Every method raises :class:`RunnerError`, and then no process is left.
    """

    def __init__(self, command: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in kill()
        try:
            # Out of the terminal's process group, so that Ctrl-C reaches this process only.
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                env=env,
                start_new_session=True,
            )
        except OSError as error:
            self._log.close()
            raise RunnerError(
                "start", f"{command[0]} cannot be started", why=error.strerror or str(error)
            ) from None
        self._over = False
        # Bounded, so that a runner that prints without end fills a pipe and no memory.
        self._lines: queue.Queue[bytes] = queue.Queue(maxsize=2)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.kill()

    @property
    def pid(self) -> int:
        """The process id of the runner."""
        return self._process.pid

    @property
    def is_over(self) -> bool:
        """Whether it was closed, or has failed."""
        return self._over

    def hello(self, timeout_s: float = LOAD_TIMEOUT_S) -> Identity:
        """Wait until the runner has imported its runtime, and return who it is."""
        identity: Identity = self._ask(Hello(), timeout_s)
        return identity

    def load(self, request: Load, timeout_s: float = LOAD_TIMEOUT_S) -> Loaded:
        """Load an artifact."""
        loaded: Loaded = self._ask(request, timeout_s)
        if request.threads is not None and loaded.threads not in (None, request.threads):
            self.kill()
            raise RunnerError(
                "load",
                f"The runner uses {loaded.threads} threads instead of {request.threads}",
            )
        if request.cores is not None and loaded.cores != tuple(sorted(request.cores)):
            self.kill()
            raise RunnerError(
                "load", f"The runner may run on the cores {loaded.cores}, not {request.cores}"
            )
        return loaded

    def run(self, count: int, *, warm_up: int = 0, expected_s: float | None = None) -> Ran:
        """Run inferences; `expected_s` is how long one takes, where known."""
        ran: Ran = self._ask(
            Run(count=count, warm_up=warm_up), _patience(count + warm_up, expected_s)
        )
        if len(ran.samples_ns) != count or len(ran.warm_up_ns) != warm_up:
            self.kill()
            raise RunnerError(
                "run",
                f"The runner timed {len(ran.samples_ns)} inferences instead of {count}",
            )
        return ran

    def memory(self) -> MemoryUse:
        """Return the memory that the runner has used since the load."""
        use: MemoryUse = self._ask(GetMemory(), RUN_TIMEOUT_S)
        return use

    def profile(self, count: int, trace: str, *, expected_s: float | None = None) -> Profiled:
        """Trace `count` inferences into the file `trace` of the runner's side."""
        done: Profiled = self._ask(Profile(count=count, trace=trace), _patience(count, expected_s))
        return done

    def outputs(self, folder: str) -> Outputs:
        """Have what the last inference computed written into `folder` of the runner's side."""
        outputs: Outputs = self._ask(GetOutputs(folder=folder), RUN_TIMEOUT_S)
        return outputs

    def close(self) -> None:
        """End the runner: ask it to, then make it."""
        if self._over:
            return
        with contextlib.suppress(RunnerError, subprocess.TimeoutExpired):
            self._ask(Close(), CLOSE_TIMEOUT_S)
            self._process.wait(CLOSE_TIMEOUT_S)
        self.kill()

    def kill(self) -> None:
        """End the runner and whatever it started, at once."""
        if self._over:
            return
        self._over = True
        _kill_group(self._process.pid)
        self._process.wait()
        self._stop_reading()
        self._log.close()
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def _stop_reading(self) -> None:
        deadline = time.monotonic() + CLOSE_TIMEOUT_S
        while self._reader.is_alive() and time.monotonic() < deadline:
            with contextlib.suppress(queue.Empty):
                self._lines.get_nowait()
            self._reader.join(0.01)
        # A process that left the group may hold the pipe open; its reader then ends with it.
        if not self._reader.is_alive() and self._process.stdout is not None:
            self._process.stdout.close()

    def _ask(self, request: Request, timeout_s: float) -> Any:
        """Send `request` and return its answer."""
        if self._over:
            raise RunnerError(request.op, "The session is over")
        stdin = self._process.stdin
        assert stdin is not None  # noqa: S101 - for the type checker
        try:
            stdin.write(request.to_line())
            stdin.flush()
            line = self._next_line(timeout_s)
        except (OSError, ValueError):
            line = b""
        except queue.Empty:
            tail = self._tail()
            self.kill()
            raise RunnerError(
                request.op, f"The runner did not answer within {timeout_s:.0f} s", why=tail
            ) from None
        except BaseException:
            self.kill()
            raise
        if not line:
            self._raise_death(request.op)
        try:
            reply = parse_reply(line, request)
        except ProtocolError as error:
            self.kill()
            raise RunnerError(
                request.op, "The runner gave an answer that is none", why=str(error)
            ) from None
        if isinstance(reply, Failed):
            complaint = self._complaint()
            self.kill()
            if reply.code == "unsupported":
                raise RunnerError(reply.stage, reply.error)
            why = f"{reply.error}. It printed: {complaint}" if complaint else reply.error
            raise RunnerError(reply.stage, f"The runner failed ({reply.code})", why=why)
        return reply

    def _next_line(self, timeout_s: float) -> bytes:
        """Return the next line, or none where the runner is dead.

        Its end alone does not tell: what it started may hold the pipe open.
        """
        deadline = time.monotonic() + timeout_s
        while (left_s := deadline - time.monotonic()) > 0:
            is_dead = self._process.poll() is not None
            try:
                return self._lines.get(timeout=min(left_s, LIVENESS_S))
            except queue.Empty:
                if is_dead:
                    return b""
        raise queue.Empty

    def _raise_death(self, stage: str) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(CLOSE_TIMEOUT_S)
        status = self._process.returncode
        tail = self._tail()
        self.kill()
        raise RunnerError(stage, f"The runner died ({_how(status)})", why=tail)

    def _tail(self) -> str:
        """Return the end of what the runner printed."""
        size = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, size - _TAIL_BYTES))
        return self._log.read().decode(errors="replace").strip()

    def _complaint(self) -> str:
        """Return the first error of the last lines that the runner printed, where there is one.

        A runtime may answer with a bare number, and print the reason.
        """
        return next(filter(_COMPLAINT.match, self._tail().splitlines()), "")

    def _read(self) -> None:
        stdout = self._process.stdout
        assert stdout is not None  # noqa: S101 - for the type checker
        line = b"\n"
        while line:
            line = stdout.readline(_LONGEST_REPLY)
            self._lines.put(line)


def _patience(count: int, expected_s: float | None) -> float:
    """Return how long to wait for `count` inferences, in seconds."""
    if expected_s is None:
        return RUN_TIMEOUT_S
    return RUN_TIMEOUT_S / 10 + SLOWNESS * expected_s * count


def _how(status: int | None) -> str:
    """Say in words how a process ended."""
    if status is None:
        return "it closed its output"
    if status < 0:
        with contextlib.suppress(ValueError):
            return signal.Signals(-status).name
    return f"exit status {status}"


def _kill_group(pid: int) -> None:
    if sys.platform == "win32":
        import psutil

        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            for each in (*process.children(recursive=True), process):
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.kill()
    else:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
