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
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightmobile.errors import InternalError, LightmobileError
from lightmobile.export.artifact import full_disk

if TYPE_CHECKING:
    from lightmobile.export.job import Job

__all__ = ["Crew", "Worker"]

Report = Callable[[str, str], None]

_TAIL_LINES = 5


class Worker:
    """One worker process and its folder.

    Attributes
    ----------
    folder
        Where it works: the artifact and its manifest appear here.
    """

    def __init__(self, job: Job, folder: Path) -> None:
        self.job = job
        self.folder = folder
        folder.mkdir()
        # Not in the folder: if its disk is full, the log has to tell.
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the worker
        # -P: a file of the user's folder called torch.py is not torch.
        command = [sys.executable, "-P", "-m", "lightmobile.export.worker", str(folder)]
        self.process = subprocess.Popen(
            command,
            env=_environment(folder),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            encoding="utf-8",
            # Out of the terminal's reach: Ctrl-C stops the session, which stops its workers.
            start_new_session=True,
        )
        self.tell(job.to_json())

    def tell(self, line: str) -> None:
        """Send a line; a worker that has ended no longer listens, and its ending says why."""
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

    def log(self) -> str:
        """Return what its exporter has printed, once it has ended."""
        self._log.seek(0)
        return self._log.read().decode("utf-8", errors="replace")

    def died(self) -> LightmobileError:
        """Return the error of a worker that ended without a word."""
        code = self.process.wait()
        if full := full_disk(Path(self.job.output_dir)):
            return full
        tail = [line for line in self.log().split("\n") if line.strip()][-_TAIL_LINES:]
        how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        return InternalError(
            f"The process that made {self.job.name} ended {how}",
            why=" | ".join(tail),
            fix="Is there memory enough? --log FILE keeps what it printed",
        )


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
        self._ended: queue.SimpleQueue[tuple[Worker, LightmobileError | None]] = queue.SimpleQueue()

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers:
            worker.kill()
        for listener in self._listeners:
            listener.join()

    def start(self, job: Job) -> None:
        """Start the worker of `job`."""
        worker = Worker(job, self._stage / job.spec.target)
        self.workers.append(worker)
        listener = threading.Thread(target=self._listen, args=(worker,), daemon=True)
        self._listeners.append(listener)
        listener.start()

    def tell(self, **message: Any) -> None:
        """Send a message to all workers."""
        for worker in self.workers:
            worker.tell(json.dumps(message))

    def results(self) -> Iterator[tuple[Worker, LightmobileError | None]]:
        """Yield each worker as it ends, with what went wrong."""
        for _ in self.workers:
            yield self._ended.get()

    def _listen(self, worker: Worker) -> None:
        failure: LightmobileError | None = InternalError(f"{worker.job.name} went unheard")
        try:
            failure = self._hear_out(worker)
        finally:
            self._ended.put((worker, failure))

    def _hear_out(self, worker: Worker) -> LightmobileError | None:
        for message in worker.messages():
            if "phase" in message:
                with self._lock:
                    self._report(worker.job.spec.target, message["phase"])
            elif "error" in message:
                return _error(message["error"])
            else:
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
