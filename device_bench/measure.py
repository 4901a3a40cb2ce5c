"""Latency, in blocks of rounds or in sweeps; then the other passes, one after another.

Every line is in the store before the next is measured. What fails is noted for its configuration
alone, and the others go on. A device that is lost is waited for, and what was under way begins
again.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, Literal, Self

from lightmobile.device_bench.passes import Passes, passes_of
from lightmobile.device_bench.protocol import Identity, Ran
from lightmobile.device_bench.schedule import Schedule, Stopped
from lightmobile.device_bench.schema import (
    Cooling,
    End,
    Failure,
    Line,
    Process,
    Reading,
    Slice,
    now,
)
from lightmobile.device_bench.session import RunnerError, RunnerSession
from lightmobile.device_bench.statistics import is_narrow
from lightmobile.device_bench.workbench import LostError, Member, Workbench

__all__ = ["Measurement"]

# After its start a process takes some tenths of a second to reach its pace; after another process
# has had the caches, some ten inferences of the smallest networks.
WARM_UP_S = 0.5
SETTLE_S = 0.03
SLICE_S = 0.2
MOST_INFERENCES = 1000  # of a slice: a store holds every sample
# In a sweep the process is at its pace already; what is new is the artifact.
SWEEP_WARM_UP_S = 0.15
NARROW_PERCENT = 1.0
MOST_LOSSES = 5  # a cable that lets go that often will again


class Measurement:
    """One session's measuring, from its first process to its last line."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self._losses = 0

    def run(self, schedule: Schedule, passes: Passes) -> list[Line]:
        """Measure; return what was written, line by line.

        Raises
        ------
        DeviceError
            The device was lost and did not come back; the store has all that was measured.
        """
        bench = self._bench
        try:
            self._measure_latency(schedule)
            bench.progress("latency", "done")
            for name, measure in passes_of(passes).items():
                for member in bench.alive():
                    bench.progress(name, member.title)
                    try:
                        measure(bench, member)
                    except LostError as error:
                        # Once more from its start; whatever it had stored by then counts once.
                        self._reconnect(error)
                        measure(bench, member)
                bench.progress(name, "done")
        except BaseException:
            self._end("interrupted")
            raise
        if schedule.stopped is not None:
            self._end(schedule.stopped)
        return bench.lines

    def run_benchmark_model(self) -> list[Line]:
        """Let LiteRT's own program measure, one configuration after another."""
        bench = self._bench
        for member in bench.members:
            bench.progress("benchmark_model", member.title)
            with bench.dropping(member):
                bench.device.wait_until_cool(bench.progress)
                bench.write(
                    bench.device.run_benchmark_model(
                        member.artifact, member.configuration, bench.session
                    )
                )
        bench.progress("benchmark_model", "done")
        return bench.lines

    def failures(self) -> dict[str, Failure]:
        """Return why a configuration could not be measured, by the id of its result."""
        return {
            member.configuration.result: member.failure
            for member in self._bench.members
            if member.failure is not None
        }

    def _measure_latency(self, schedule: Schedule) -> None:
        for block in schedule.blocks(self._is_enough):
            rounds = iter(block)
            while True:
                try:
                    if schedule.rounds_per_block == 1:
                        self._sweep(schedule, rounds)
                    else:
                        self._measure_block(schedule, rounds)
                    break
                except LostError as error:
                    # The round under way is lost; its slices so far pair with none.
                    self._reconnect(error)
            if not self._bench.alive():
                return

    def _measure_block(self, schedule: Schedule, rounds: Iterator[int]) -> None:
        bench = self._bench
        cooling = self._cool()
        with ExitStack() as stack:
            live = self._start_all(schedule, stack)
            for number in rounds if live else ():
                self._read_condition(number, "before", cooling)
                cooling = None
                for index in schedule.order([*live]):
                    with bench.dropping(bench.members[index]):
                        self._measure_slice(bench.members[index], live[index], number)
                self._read_condition(number, "after")
                live = {i: each for i, each in live.items() if not bench.members[i].failure}
                if not live:
                    return
                bench.progress("latency", f"{schedule.progress:.0%}")

    def _sweep(self, schedule: Schedule, rounds: Iterator[int]) -> None:
        """Measure every configuration once, in processes that serve all of a runtime."""
        bench = self._bench
        for number in rounds:
            self._read_condition(number, "before", self._cool())
            groups: dict[object, list[int]] = {}
            for index, member in enumerate(bench.members):
                if member.failure is None:
                    # Near each other in time: what is of one size is compared most.
                    shape = tuple(each.shape for each in member.planned.inputs)
                    groups.setdefault(shape, []).append(index)
            with _SharedRunners(bench) as runners:
                for done, index in enumerate(schedule.grouped_order(groups.values())):
                    member = bench.members[index]
                    with bench.dropping(member):
                        session, identity = runners.of(member)
                        self._warm_up(member, session, identity, SWEEP_WARM_UP_S)
                        self._measure_slice(member, session, number)
                    if done % 10 == 0:
                        bench.progress("latency", f"round {number + 1}, {member.title}")
            self._read_condition(number, "after")

    def _cool(self) -> Cooling | None:
        with self._bench.connected():
            return self._bench.device.wait_until_cool(self._bench.progress)

    def _reconnect(self, error: LostError) -> None:
        self._losses += 1
        if self._losses > MOST_LOSSES:
            raise error
        self._bench.progress("latency", "waiting for the device, which was lost")
        self._bench.device.reconnect()

    def _read_condition(
        self, number: int, when: Literal["before", "after"], cooling: Cooling | None = None
    ) -> None:
        bench = self._bench
        with bench.connected():
            condition = bench.device.condition()
        bench.write(
            Reading(
                session=bench.session,
                round=number,
                when=when,
                taken=now(),
                condition=condition,
                cooling=cooling,
            )
        )

    def _is_enough(self) -> bool:
        return all(is_narrow(member.slices, NARROW_PERCENT) for member in self._bench.alive())

    def _start_all(self, schedule: Schedule, stack: ExitStack) -> dict[int, RunnerSession]:
        """Start a process of each configuration; return the live ones by configuration."""
        sessions: dict[int, RunnerSession] = {}
        # Whoever starts first in every block might always find the better place.
        for index in schedule.order([*range(len(self._bench.members))]):
            member = self._bench.members[index]
            if member.failure is None:
                with self._bench.dropping(member):
                    sessions[index] = stack.enter_context(self._bench.start(member))
        # They import side by side, and nothing is timed before the last is done.
        identities: dict[int, Identity] = {}
        for index, session in sessions.items():
            with self._bench.dropping(self._bench.members[index]):
                identities[index] = session.hello()
        for index, identity in identities.items():
            with self._bench.dropping(self._bench.members[index]):
                self._warm_up(self._bench.members[index], sessions[index], identity)
        return {i: each for i, each in sessions.items() if self._bench.members[i].failure is None}

    def _warm_up(
        self,
        member: Member,
        session: RunnerSession,
        identity: Identity,
        seconds: float = WARM_UP_S,
    ) -> None:
        loaded = session.load(self._bench.load(member))
        first = session.run(1)
        end = time.monotonic() + seconds
        warm_up_ns: list[int] = []
        while not warm_up_ns or time.monotonic() < end:
            last_s = (warm_up_ns or first.samples_ns)[-1] / 1e9
            warm_up_ns += session.run(
                _inferences(seconds / 4, last_s), expected_s=last_s
            ).samples_ns
        if member.expected_s is None:
            member.expected_s = statistics.median(warm_up_ns[-10:]) / 1e9
        self._bench.write(
            Process(
                session=self._bench.session,
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

    def _measure_slice(self, member: Member, session: RunnerSession, number: int) -> None:
        assert member.expected_s is not None  # noqa: S101 - for the type checker
        started = now()
        ran = session.run(
            _inferences(SLICE_S, member.expected_s),
            warm_up=_inferences(SETTLE_S, member.expected_s),
            expected_s=member.expected_s,
        )
        part = Slice(
            session=self._bench.session,
            result=member.configuration.result,
            round=number,
            process=member.processes - 1,
            started=started,
            samples_ns=ran.samples_ns,
        )
        self._bench.write(part)
        member.slices.append(part)
        self._check_outputs(member, ran)

    def _check_outputs(self, member: Member, ran: Ran) -> None:
        """Note it once where a process does not compute what the first one did."""
        first, member.output_sha256 = member.output_sha256, ran.output_sha256
        if first not in (None, ran.output_sha256):
            error = "The same inputs gave other outputs than before"
            self._bench.fail(member, RunnerError("outputs", error))

    def _end(self, stopped: Stopped | Literal["interrupted"]) -> None:
        bench = self._bench
        for member in bench.alive():
            bench.write(
                End(session=bench.session, result=member.configuration.result, stopped=stopped)
            )


class _SharedRunners:
    """The processes of a sweep: one for all configurations that start alike, as a context."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self._stack = ExitStack()
        self._live: dict[object, tuple[RunnerSession, Identity]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def of(self, member: Member) -> tuple[RunnerSession, Identity]:
        """Return a live runner for `member`, started anew where the last one ended."""
        ran = member.configuration
        key = (ran.runtime, ran.compute, ran.threads, ran.cores)
        found = self._live.get(key)
        if found is None or found[0].is_over:
            session = self._stack.enter_context(self._bench.start(member))
            found = self._live[key] = (session, session.hello())
        return found


def _inferences(seconds: float, each_s: float) -> int:
    """Return how many inferences of `each_s` fill `seconds`, within limits."""
    return min(MOST_INFERENCES, max(1, round(seconds / each_s)))
