"""The passes of a bench: latency in blocks of rounds, then memory, then time by operator.

Every line is in the store before the next is measured. What fails is noted for its configuration
alone, and the others go on.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal

from lightmobile.device_bench.devices import Device
from lightmobile.device_bench.plan import Planned
from lightmobile.device_bench.profile import read_trace
from lightmobile.device_bench.protocol import Identity, Load, Ran, Record
from lightmobile.device_bench.schedule import Schedule, Stopped
from lightmobile.device_bench.schema import (
    Configuration,
    End,
    Failure,
    Line,
    Memory,
    Process,
    Profile,
    Slice,
    now,
)
from lightmobile.device_bench.session import RunnerError, RunnerSession
from lightmobile.device_bench.statistics import is_narrow
from lightmobile.device_bench.store import Store

__all__ = ["Measurement"]

Progress = Callable[[str, str], None]

# After its start a process takes some tenths of a second to reach its pace; after another process
# has had the caches, some ten inferences of the smallest networks.
WARM_UP_S = 0.5
SETTLE_S = 0.03
SLICE_S = 0.2
MOST_INFERENCES = 1000  # of a slice: a store holds every sample
NARROW_PERCENT = 1.0
PROFILED_RUNS = 20
MEMORY_RUNS = 3


class _Member:
    """A configuration on its way through the passes."""

    def __init__(self, planned: Planned) -> None:
        self.planned = planned
        self.failure: Failure | None = None
        self.slices: list[Slice] = []
        self.processes = 0
        self.output_sha256: str | None = None
        # Set by the first process, and kept so that all slices weigh the same.
        self.expected_s: float | None = None

    @property
    def configuration(self) -> Configuration:
        return self.planned.configuration

    @property
    def title(self) -> str:
        return f"{self.configuration.model} on {self.configuration.runtime}"


class Measurement:
    """One session's measuring, from its first process to its last line.

    Parameters
    ----------
    session
        Id of the session, whose line the store already has.
    seed
        Of the inputs.
    """

    def __init__(
        self,
        planned: Sequence[Planned],
        device: Device,
        store: Store,
        session: str,
        *,
        seed: int,
        progress: Progress,
    ) -> None:
        self._members = [_Member(each) for each in planned]
        self._device = device
        self._store = store
        self._session = session
        self._seed = seed
        self._progress = progress
        self._lines: list[Line] = []

    def run(self, schedule: Schedule, *, profile: bool) -> list[Line]:
        """Measure; return what was written, line by line."""
        try:
            self._measure_latency(schedule)
            self._progress("latency", "done")
            for member in self._alive():
                self._measure_memory(member)
            self._progress("memory", "done")
            for member in self._alive() if profile else ():
                self._measure_operators(member)
        except KeyboardInterrupt:
            self._end("interrupted")
            raise
        if schedule.stopped is not None:
            self._end(schedule.stopped)
        return self._lines

    def failures(self) -> dict[str, Failure]:
        """Return why a configuration could not be measured, by the id of its result."""
        return {
            member.configuration.result: member.failure
            for member in self._members
            if member.failure is not None
        }

    def _alive(self) -> list[_Member]:
        return [member for member in self._members if member.failure is None]

    def _measure_latency(self, schedule: Schedule) -> None:
        for block in schedule.blocks(self._is_enough):
            with ExitStack() as stack:
                live = self._start_all(schedule, stack)
                for number in block:
                    for index in schedule.order([*live]):
                        with self._dropping(self._members[index]):
                            self._measure_slice(self._members[index], live[index], number)
                    live = {i: each for i, each in live.items() if not self._members[i].failure}
                    if not live:
                        return
                    self._progress("latency", f"{schedule.progress:.0%}")

    def _is_enough(self) -> bool:
        return all(is_narrow(member.slices, NARROW_PERCENT) for member in self._alive())

    def _start_all(self, schedule: Schedule, stack: ExitStack) -> dict[int, RunnerSession]:
        """Start a process of each configuration; return the live ones by configuration."""
        sessions: dict[int, RunnerSession] = {}
        # Whoever starts first in every block might always find the better place.
        for index in schedule.order([*range(len(self._members))]):
            member = self._members[index]
            if member.failure is None:
                with self._dropping(member):
                    sessions[index] = stack.enter_context(self._start(member))
        # They import side by side, and nothing is timed before the last is done.
        identities: dict[int, Identity] = {}
        for index, session in sessions.items():
            with self._dropping(self._members[index]):
                identities[index] = session.hello()
        for index, identity in identities.items():
            with self._dropping(self._members[index]):
                self._warm_up(self._members[index], sessions[index], identity)
        return {i: each for i, each in sessions.items() if self._members[i].failure is None}

    def _warm_up(self, member: _Member, session: RunnerSession, identity: Identity) -> None:
        loaded = session.load(self._load(member))
        first = session.run(1)
        end = time.monotonic() + WARM_UP_S
        warm_up_ns: list[int] = []
        while not warm_up_ns or time.monotonic() < end:
            last_s = (warm_up_ns or first.samples_ns)[-1] / 1e9
            warm_up_ns += session.run(
                _inferences(WARM_UP_S / 4, last_s), expected_s=last_s
            ).samples_ns
        if member.expected_s is None:
            member.expected_s = statistics.median(warm_up_ns[-10:]) / 1e9
        self._write(
            Process(
                session=self._session,
                result=member.configuration.result,
                process=member.processes,
                versions=identity.versions,
                timed=identity.timed,
                threads=loaded.threads,
                delegates=loaded.delegates,
                load_ns=loaded.load_ns,
                first_ns=first.samples_ns[0],
                warm_up_ns=tuple(warm_up_ns),
                output_sha256=first.output_sha256,
            )
        )
        self._check_outputs(member, first)
        member.processes += 1

    def _measure_slice(self, member: _Member, session: RunnerSession, number: int) -> None:
        assert member.expected_s is not None  # noqa: S101 - for the type checker
        started = now()
        ran = session.run(
            _inferences(SLICE_S, member.expected_s),
            warm_up=_inferences(SETTLE_S, member.expected_s),
            expected_s=member.expected_s,
        )
        part = Slice(
            session=self._session,
            result=member.configuration.result,
            round=number,
            process=member.processes - 1,
            started=started,
            samples_ns=ran.samples_ns,
        )
        self._write(part)
        member.slices.append(part)
        self._check_outputs(member, ran)

    def _check_outputs(self, member: _Member, ran: Ran) -> None:
        """Note it once where a process does not compute what the first one did."""
        first, member.output_sha256 = member.output_sha256, ran.output_sha256
        if first not in (None, ran.output_sha256):
            error = "The same inputs gave other outputs than before"
            self._fail(member, RunnerError("outputs", error))

    def _measure_memory(self, member: _Member) -> None:
        self._progress("memory", member.title)
        with self._noting(member), self._start(member) as session:
            session.load(self._load(member, "memory"))
            session.run(MEMORY_RUNS, expected_s=member.expected_s)
            use = session.memory()
            self._write(
                Memory(
                    session=self._session,
                    result=member.configuration.result,
                    peak_bytes=use.peak_bytes,
                    baseline_bytes=use.baseline_bytes,
                )
            )

    def _measure_operators(self, member: _Member) -> None:
        self._progress("operators", member.title)
        with self._noting(member), tempfile.TemporaryDirectory() as folder:
            trace = Path(folder) / "trace"
            with self._start(member) as session:
                loaded = session.load(self._load(member, "profile"))
                session.profile(PROFILED_RUNS, trace, expected_s=member.expected_s)
            rows = read_trace(trace, loaded.delegates)
            self._write(
                Profile(session=self._session, result=member.configuration.result, rows=rows)
            )

    def _start(self, member: _Member) -> RunnerSession:
        return self._device.start(member.configuration.runtime)

    def _load(self, member: _Member, record: Record = "latency") -> Load:
        return Load(
            artifact=str(member.planned.artifact),
            threads=member.configuration.threads,
            compute=member.configuration.compute,
            inputs=member.planned.inputs,
            seed=self._seed,
            record=record,
        )

    @contextmanager
    def _dropping(self, member: _Member) -> Iterator[None]:
        """Note a failure, and measure this configuration no further."""
        try:
            yield
        except RunnerError as error:
            member.failure = self._fail(member, error)

    @contextmanager
    def _noting(self, member: _Member) -> Iterator[None]:
        """Note a failure of a pass that the latency does not need."""
        try:
            yield
        except RunnerError as error:
            self._fail(member, error)

    def _fail(self, member: _Member, error: RunnerError) -> Failure:
        failure = Failure(
            session=self._session,
            result=member.configuration.result,
            stage=error.stage,
            error=str(error),
        )
        self._write(failure)
        return failure

    def _end(self, stopped: Stopped | Literal["interrupted"]) -> None:
        for member in self._alive():
            self._write(
                End(session=self._session, result=member.configuration.result, stopped=stopped)
            )

    def _write(self, line: Line) -> None:
        self._store.append(line)
        self._lines.append(line)


def _inferences(seconds: float, each_s: float) -> int:
    """Return how many inferences of `each_s` fill `seconds`, within limits."""
    return min(MOST_INFERENCES, max(1, round(seconds / each_s)))
