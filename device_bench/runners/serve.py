"""What every Python runner shares: the loop of requests, the clock, inputs, memory, digests.

A runner's own file is an :class:`Engine`: how one runtime loads an artifact and runs it.
"""

from __future__ import annotations

import gc
import hashlib
import math
import os
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, ClassVar

from lightmobile.device_bench.protocol import (
    Close,
    Closed,
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
    Reply,
    Request,
    Run,
    Tensor,
    parse_request,
)
from lightmobile.device_bench.runners.memory import peak_bytes, resident_bytes, restart_peak

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.generic]

__all__ = ["Engine", "Unsupported", "serve"]


class Unsupported(Exception):  # noqa: N818 - an answer, not an error of the runner
    """The runtime cannot do what was asked for."""


class Engine(ABC):
    """One artifact in one runtime. The constructor imports the runtime, and nothing before it."""

    runtime: ClassVar[str]
    timed: ClassVar[str]
    computes: ClassVar[tuple[str, ...]] = ("cpu",)

    threads: int | None = None
    delegates: tuple[str, ...] = ()

    @abstractmethod
    def versions(self) -> dict[str, str]:
        """Return the packages that compute, with their versions."""

    @abstractmethod
    def load(self, request: Load) -> None:
        """Make the artifact ready for inference."""

    @abstractmethod
    def set_inputs(self, inputs: list[Array]) -> None:
        """Hand over the inputs of the next inference; not timed."""

    @abstractmethod
    def infer(self) -> None:
        """Run one inference; this call alone is timed."""

    @abstractmethod
    def outputs(self) -> list[Array]:
        """Return what the last inference computed."""

    def write_trace(self, path: Path) -> Profiled:  # noqa: ARG002 - for those that can
        """Write what was traced since a load with ``record="profile"`` into `path`."""
        raise Unsupported(f"{self.runtime} has no per-operator times for Python")


class _Runner:
    """Answers requests with one engine."""

    def __init__(self, make_engine: Callable[[], Engine]) -> None:
        self._engine: Engine | None = None
        self._import_error: ImportError | None = None
        try:
            self._engine = make_engine()
        except ImportError as error:
            self._import_error = error
        self._loaded = False
        self._inputs: list[Array] = []
        self._baseline_bytes = 0

    def answer(self, request: Request) -> Reply | Failed:
        """Carry `request` out; whatever it raises becomes the answer."""
        if isinstance(request, Close):
            return Closed()
        if self._engine is None:
            return _failed("import", self._import_error)
        try:
            if isinstance(request, Hello):
                return _identity(self._engine)
            if isinstance(request, Load):
                return self._load(self._engine, request)
            if not self._loaded:
                raise ValueError("nothing is loaded")
            match request:
                case Run():
                    return self._run(self._engine, request)
                case GetMemory():
                    return self._memory()
                case Profile():
                    return self._profile(self._engine, request)
                case GetOutputs():
                    return _write_outputs(self._engine, Path(request.folder))
        except Exception as error:  # noqa: BLE001 - a runtime raises what it likes
            return _failed(request.op, error)

    def _load(self, engine: Engine, request: Load) -> Loaded:
        self._loaded = False
        if request.compute not in engine.computes:
            raise Unsupported(f"{engine.runtime} has no compute unit {request.compute!r} here")
        if request.threads is not None and request.threads > (os.cpu_count() or 1):
            raise ValueError(f"{request.threads} threads on {os.cpu_count()} cores")
        cores = _take_cores(request.cores)
        self._inputs = [_read(tensor) for tensor in request.inputs]
        gc.collect()
        restart_peak()
        self._baseline_bytes = resident_bytes()
        start = time.perf_counter_ns()
        engine.load(request)
        load_ns = time.perf_counter_ns() - start
        engine.set_inputs(self._inputs)
        self._loaded = True
        # No collection of garbage, whose moment is arbitrary, may fall into a timed region.
        gc.disable()
        return Loaded(
            threads=engine.threads, cores=cores, delegates=engine.delegates, load_ns=load_ns
        )

    def _run(self, engine: Engine, request: Run) -> Ran:
        warm_up_ns = self._time(engine, request.warm_up)
        samples_ns = self._time(engine, request.count)
        digest = hashlib.sha256()
        for output in engine.outputs():
            digest.update(output.tobytes())
        return Ran(warm_up_ns=warm_up_ns, samples_ns=samples_ns, output_sha256=digest.hexdigest())

    def _time(self, engine: Engine, count: int) -> tuple[int, ...]:
        samples_ns = []
        for _ in range(count):
            # A runtime may use the memory of an input again; each inference gets it afresh.
            engine.set_inputs(self._inputs)
            start = time.perf_counter_ns()
            engine.infer()
            samples_ns.append(time.perf_counter_ns() - start)
        return tuple(samples_ns)

    def _memory(self) -> MemoryUse:
        return MemoryUse(
            peak_bytes=max(peak_bytes(), self._baseline_bytes),
            baseline_bytes=self._baseline_bytes,
        )

    def _profile(self, engine: Engine, request: Profile) -> Profiled:
        self._time(engine, request.count)
        return engine.write_trace(Path(request.trace))


def _identity(engine: Engine) -> Identity:
    return Identity(
        runtime=engine.runtime,
        pid=os.getpid(),
        versions=engine.versions(),
        computes=engine.computes,
        timed=engine.timed,
    )


def _take_cores(cores: tuple[int, ...] | None) -> tuple[int, ...] | None:
    """Keep this process to `cores`, where given, and return those that it may run on."""
    if sys.platform == "linux":
        if cores is not None:
            # Before the runtime makes its threads, which inherit it.
            os.sched_setaffinity(0, cores)
        return tuple(sorted(os.sched_getaffinity(0)))
    else:  # noqa: RET505 - type checkers follow platforms by branches
        if cores is not None:
            raise Unsupported("this system lets no process choose its cores")
        return None


def _read(tensor: Tensor) -> Array:
    import numpy as np

    size = math.prod(tensor.shape) * np.dtype(tensor.dtype).itemsize
    found = Path(tensor.file).stat().st_size
    if found != size:
        raise ValueError(
            f"an input of {list(tensor.shape)} {tensor.dtype} has {size} bytes, "
            f"and its file {found}"
        )
    return np.fromfile(tensor.file, tensor.dtype).reshape(tensor.shape)


def _write_outputs(engine: Engine, folder: Path) -> Outputs:
    written = []
    for index, array in enumerate(engine.outputs()):
        file = folder / f"output-{index}"
        file.write_bytes(array.tobytes())
        written.append(Tensor(shape=array.shape, dtype=str(array.dtype), file=str(file)))
    return Outputs(outputs=tuple(written))


def _failed(stage: str, error: Exception | None) -> Failed:
    match error:
        case Unsupported():
            code = "unsupported"
        case ValueError():
            code = "usage"
        case _:
            code = type(error).__name__
    return Failed(stage=stage, code=code, error=str(error) or code)


def _claim_stdout() -> IO[bytes]:
    """Keep standard output for replies; what native code prints there goes to standard error."""
    sys.stdout.flush()
    replies = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return replies


def serve(make_engine: Callable[[], Engine]) -> None:
    """Answer the requests on standard input until it ends, or one says ``close``."""
    replies = _claim_stdout()
    runner = _Runner(make_engine)
    for line in sys.stdin.buffer:
        try:
            request = parse_request(line)
        except ProtocolError as error:
            replies.write(_failed("protocol", error).to_line())
            continue
        replies.write(runner.answer(request).to_line())
        if isinstance(request, Close):
            # Everything is answered; torch would take 0.3 s to leave.
            os._exit(0)
