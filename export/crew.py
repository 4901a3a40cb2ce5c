"""The workers of a session: started together, heard as they speak, never outliving it."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from lightmobile.errors import InternalError, LightmobileError
from lightmobile.export.artifact import full_disk

if TYPE_CHECKING:
    from lightmobile.export.job import Job

__all__ = ["Crew", "Worker", "shared_exporters"]

Report = Callable[[str, str], None]

_TAIL_LINES = 5
# A process that serves many jobs ends after so many, or when it has grown so large.
_MOST_ARTIFACTS = 40
_MOST_BYTES = 2 << 30


class Exporter:
    """A process that makes artifacts of one target, one after another.

    Parameters
    ----------
    folder
        For its temporary files.
    """

    def __init__(self, folder: Path) -> None:
        self._made = 0
        # Not in the folder: if its disk is full, the log has to tell.
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        # -P: a file of the user's folder called torch.py is not torch.
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "lightmobile.export.worker"],
            env=_environment(folder),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            encoding="utf-8",
            # Out of the terminal's reach: Ctrl-C stops the session, which stops its workers.
            start_new_session=True,
        )

    def tell(self, line: str) -> None:
        """Send a line; a process that has ended no longer listens, and its ending says why."""
        stdin = self.process.stdin
        assert stdin is not None  # noqa: S101 - for the type checker
        with suppress(OSError):
            stdin.write(line + "\n")
            stdin.flush()

    def messages(self) -> Iterator[dict[str, Any]]:
        """Yield what it says, until it ends."""
        stdout = self.process.stdout
        assert stdout is not None  # noqa: S101 - for the type checker
        for line in stdout:
            if line.endswith("\n"):  # or it was killed while speaking
                yield json.loads(line)

    def is_fit(self) -> bool:
        """Tell whether it may make another artifact: converters leave memory behind."""
        self._made += 1
        try:
            memory = psutil.Process(self.process.pid).memory_info().rss
        except psutil.Error:
            return False
        return self._made < _MOST_ARTIFACTS and memory < _MOST_BYTES

    def kill(self) -> None:
        """End it and whatever it has started."""
        if self.process.poll() is None:
            if sys.platform == "win32":
                self.process.kill()
            else:
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def close(self) -> None:
        """Close its pipes and its log, which is gone then."""
        for stream in (self.process.stdin, self.process.stdout, self._log):
            if stream:
                with suppress(OSError):  # What was not yet sent, nobody hears.
                    stream.close()

    def log_size(self) -> int:
        """Return how much it has printed so far, in bytes."""
        return os.fstat(self._log.fileno()).st_size

    def log(self, start: int) -> str:
        """Return what it has printed from byte `start` on, once it has ended or is idle."""
        # It shares the position: reading to the end leaves it where an idle process writes on.
        self._log.seek(start)
        return self._log.read().decode("utf-8", errors="replace")


class Worker:
    """One job and the process that does it.

    Attributes
    ----------
    folder
        Where it works: the artifact and its manifest appear here.
    is_done
        Whether the artifact is there.
    """

    def __init__(self, job: Job, folder: Path, exporter: Exporter) -> None:
        self.job = job
        self.folder = folder
        self.exporter = exporter
        self.is_done = False
        self._log_start = exporter.log_size()
        folder.mkdir(exist_ok=True)
        exporter.tell(json.dumps(str(folder)))
        exporter.tell(job.to_json())

    def log(self) -> str:
        """Return what its exporter has printed for this job."""
        return self.exporter.log(self._log_start)

    def died(self) -> LightmobileError:
        """Return the error of a worker that ended without a word."""
        code = self.exporter.process.wait()
        if full := full_disk(Path(self.job.output_dir)):
            return full
        tail = [line for line in self.log().split("\n") if line.strip()][-_TAIL_LINES:]
        how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        return InternalError(
            f"The process that made {self.job.name} ended {how}",
            why=" | ".join(tail),
            fix="Is there memory enough? --log FILE keeps what it printed",
        )


class _Pool:
    """Processes that wait for another job, by target."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._idle: dict[str, list[Exporter]] = {}

    def take(self, target: str) -> Exporter:
        """Return one that has imported the exporter of `target`, or a new one."""
        waiting = self._idle.get(target)
        return waiting.pop() if waiting else Exporter(self._folder)

    def give(self, target: str, exporter: Exporter) -> None:
        """Keep one for another job."""
        self._idle.setdefault(target, []).append(exporter)

    def close(self) -> None:
        """End them all."""
        for exporter in (each for waiting in self._idle.values() for each in waiting):
            exporter.kill()
            exporter.close()


_pool: ContextVar[_Pool | None] = ContextVar("pool", default=None)


@contextmanager
def shared_exporters() -> Iterator[None]:
    """Let every export within the block use the processes of those before it.

    Importing an exporter takes longer than lowering a small network. A block within another one
    uses that one's processes.
    """
    if _pool.get() is not None:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="lightmobile-", ignore_cleanup_errors=True) as folder:
        pool = _Pool(Path(folder))
        token = _pool.set(pool)
        try:
            yield
        finally:
            _pool.reset(token)
            pool.close()


class Crew:
    """The workers of a session, as a context: all have ended when it is left.

    Parameters
    ----------
    stage
        An empty folder to work in.
    report
        Called with a target and its phase, by one thread at a time.
    """

    def __init__(self, stage: Path, report: Report) -> None:
        self.workers: list[Worker] = []
        self._listeners: list[threading.Thread] = []
        self._stage = stage
        self._report = report
        self._lock = threading.Lock()
        self._pool = _pool.get()
        self._kept: list[Worker] = []
        self._ended: queue.SimpleQueue[tuple[Worker, LightmobileError | None]] = queue.SimpleQueue()

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers:
            if not self._keeps(worker):
                worker.exporter.kill()
        for listener in self._listeners:
            listener.join()

    def start(self, job: Job) -> None:
        """Start the worker of `job`."""
        folder = self._stage / job.spec.target
        folder.mkdir()
        exporter = self._pool.take(job.spec.target) if self._pool else Exporter(folder)
        worker = Worker(job, folder, exporter)
        self.workers.append(worker)
        listener = threading.Thread(target=self._listen, args=(worker,), daemon=True)
        self._listeners.append(listener)
        listener.start()

    def tell(self, **message: Any) -> None:
        """Send a message to all workers."""
        for worker in self.workers:
            worker.exporter.tell(json.dumps(message))

    def results(self) -> Iterator[tuple[Worker, LightmobileError | None]]:
        """Yield each worker as it ends, with what went wrong."""
        for _ in self.workers:
            yield self._ended.get()

    def close(self) -> None:
        """Close what the workers leave, their logs among it; or keep them for another job."""
        for worker in self.workers:
            if worker in self._kept and self._pool:
                self._pool.give(worker.job.spec.target, worker.exporter)
            else:
                worker.exporter.close()

    def _keeps(self, worker: Worker) -> bool:
        if self._pool and worker.is_done and worker.exporter.is_fit():
            self._kept.append(worker)
            return True
        return False

    def _listen(self, worker: Worker) -> None:
        failure: LightmobileError | None = InternalError(f"{worker.job.name} went unheard")
        try:
            failure = self._hear_out(worker)
        finally:
            self._ended.put((worker, failure))

    def _hear_out(self, worker: Worker) -> LightmobileError | None:
        for message in worker.exporter.messages():
            if "phase" in message:
                with self._lock:
                    self._report(worker.job.spec.target, message["phase"])
            elif "error" in message:
                return _error(message["error"])
            else:
                worker.is_done = True
                return None
        return worker.died()


def _environment(folder: Path) -> dict[str, str]:
    # One thread each, and temporary files where they are removed with all else.
    return os.environ | {
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        # Threads that spin while they wait cost a busy machine several times the work itself.
        "OMP_WAIT_POLICY": "passive",
        "TMPDIR": str(folder),
        "PYTHONUNBUFFERED": "1",
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }


def _error(fields: dict[str, str]) -> LightmobileError:
    kinds: list[type[LightmobileError]] = LightmobileError.__subclasses__()
    kind = next((kind for kind in kinds if kind.code == fields["code"]), LightmobileError)
    return kind(fields["what"], why=fields["why"], fix=fields["fix"])
