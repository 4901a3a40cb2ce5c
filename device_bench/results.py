"""Results, derived from the lines of a store; and how stores are shared."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lightmobile.device_bench.schema import (
    Configuration,
    End,
    Failure,
    Line,
    Memory,
    Minute,
    Numerics,
    Process,
    Profile,
    Reading,
    Session,
    Slice,
    Summary,
)
from lightmobile.device_bench.statistics import Latency, latency
from lightmobile.device_bench.store import Store
from lightmobile.errors import UsageError

__all__ = [
    "Result",
    "export_results",
    "import_results",
    "results",
    "results_of",
    "write_whole",
]


_PARTS = (Process, Slice, Memory, Profile, Numerics, Minute, Summary, Failure, End)


@dataclass(frozen=True)
class Result:
    """All that was measured of one configuration in one session.

    Attributes
    ----------
    processes, slices
        In the order measured; at least one slice, unless there is a summary.
    memory, profile
        None where their pass did not run.
    numerics, minutes
        Empty where their pass did not run.
    summary
        What another benchmark's program said, which keeps no samples; None of our own runners.
    readings
        The condition of the device around every round of the session.
    stopped
        Why measuring ended; None where it was killed.
    """

    session: Session
    configuration: Configuration
    processes: tuple[Process, ...]
    slices: tuple[Slice, ...]
    memory: Memory | None = None
    profile: Profile | None = None
    numerics: tuple[Numerics, ...] = ()
    minutes: tuple[Minute, ...] = ()
    summary: Summary | None = None
    readings: tuple[Reading, ...] = ()
    failures: tuple[Failure, ...] = ()
    stopped: str | None = None

    @property
    def id(self) -> str:
        """The id that all lines of the result carry."""
        return self.configuration.result

    @property
    def is_hot(self) -> bool:
        """Whether the device throttled, or was not cool when it should have been."""
        return any(
            bool(each.condition.thermal_status)
            or (each.cooling is not None and each.cooling.outcome == "timed out")
            for each in self.readings
        )

    @property
    def samples_ns(self) -> list[int]:
        """Every steady sample, in the order measured."""
        return [sample for part in self.slices for sample in part.samples_ns]

    @cached_property
    def latency(self) -> Latency:
        """Summary of the steady samples."""
        return latency(self.slices)

    @property
    def images_per_second(self) -> float:
        """Images of a batch over the median latency; over the mean one where only that is told."""
        typical = self.summary.mean_ns if self.summary else self.latency.median
        return self.configuration.batch * 1e9 / typical

    @property
    def load_ms(self) -> float | None:
        """Median over processes of the time to load the artifact."""
        if self.summary:
            return _ms(self.summary.load_ns)
        loads = [process.load_ns for process in self.processes]
        return _median_ms(loads) if loads else None

    @property
    def first_ms(self) -> float | None:
        """Median over processes of the first inference."""
        if self.summary:
            return _ms(self.summary.first_ns)
        firsts = [process.first_ns for process in self.processes]
        return _median_ms(firsts) if firsts else None

    @property
    def peak_memory_bytes(self) -> int | None:
        """What the artifact took at its peak, beyond the runtime with nothing loaded."""
        if self.summary:
            return self.summary.memory_bytes
        if self.memory is None:
            return None
        return max(0, self.memory.peak_bytes - self.memory.baseline_bytes)

    @property
    def threads(self) -> int | None:
        """Threads in use where the runtime tells, else those asked for."""
        told = [process.threads for process in self.processes if process.threads is not None]
        return told[-1] if told else self.configuration.threads

    @property
    def operators(self) -> list[dict[str, Any]]:
        """The profiled operators, the most expensive first: median time and share of the sum."""
        rows = self.profile.rows if self.profile else ()
        medians = {
            index: _median_ms(row.samples_ns) if row.samples_ns else 0.0
            for index, row in enumerate(rows)
        }
        total = sum(medians.values())
        return [
            {
                "name": rows[index].name,
                "delegate": rows[index].delegate,
                "median_ms": medians[index],
                "share": medians[index] / total if total else 0.0,
            }
            for index in sorted(medians, key=lambda index: -medians[index])
        ]

    @property
    def sustained(self) -> list[dict[str, Any]]:
        """Each minute of a load without a break: how fast it was, and how warm the device."""
        return [
            {
                "minute": each.minute,
                "median_ms": (median_ms := _median_ms(each.samples_ns)),
                "p95_ms": _percentile_ms(each.samples_ns, 95),
                "images_per_second": self.configuration.batch * 1e3 / median_ms,
                "thermal_status": each.condition.thermal_status,
                "warmest_celsius": max(
                    (sensor.celsius for sensor in each.condition.sensors.values()), default=None
                ),
                "frequency_mhz": each.condition.frequency_mhz,
            }
            for each in self.minutes
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return the form that ``bench --json`` and ``results --json`` print.

        ``operators``, ``numerics`` and ``sustained`` are there where their passes ran, ``summary``
        where another program measured.
        """
        ran = self.configuration
        passes = {
            "operators": self.operators,
            "numerics": [
                each.model_dump(include={"against", "max_abs", "rel_l2", "steps", "passed"})
                for each in self.numerics
            ],
            "sustained": self.sustained,
            "summary": _told(self.summary) if self.summary else None,
        }
        return {
            "id": self.id,
            "session": self.session.id,
            "model": ran.model,
            "artifact": ran.artifact,
            "runtime": ran.runtime,
            "compute": ran.compute,
            "backend": ran.backend,
            "precision": ran.precision,
            "batch": ran.batch,
            "device": self.session.device.label,
            "threads": self.threads,
            "cores": ran.cores,
            "clocks": ran.clocks,
            "emulated": ran.emulated,
            "hot": self.is_hot,
            "latency_ms": self._latency_ms(),
            "images_per_second": self.images_per_second,
            "load_ms": self.load_ms,
            "first_ms": self.first_ms,
            "peak_memory_bytes": self.peak_memory_bytes,
            "samples_ns": self.samples_ns,
            **{name: rows for name, rows in passes.items() if rows},
        }

    def _latency_ms(self) -> dict[str, Any]:
        if told := self.summary:
            unknown = {"ci95": [None, None], "p90": None}
            known = {"median": told.median_ns, "p5": told.p5_ns, "p95": told.p95_ns}
            return unknown | {name: _ms(value) for name, value in known.items()}
        found = self.latency
        return {
            "median": _ms(found.median),
            "ci95": [_ms(found.ci95.low), _ms(found.ci95.high)],
            "p5": _ms(found.p5),
            "p90": _ms(found.p90),
            "p95": _ms(found.p95),
        }


def _told(summary: Summary) -> dict[str, Any]:
    figures = ("mean", "min", "max", "std")
    return {
        "program": summary.program,
        "count": summary.count,
        **{f"{name}_ms": _ms(getattr(summary, f"{name}_ns")) for name in figures},
    }


def _ms(nanoseconds: float | None) -> float | None:
    return None if nanoseconds is None else nanoseconds / 1e6


def _median_ms(nanoseconds: Sequence[int]) -> float:
    return _percentile_ms(nanoseconds, 50)


def _percentile_ms(nanoseconds: Sequence[int], percent: float) -> float:
    import numpy as np

    return float(np.percentile(nanoseconds, percent)) / 1e6


def results(store: Store, *, session: str | None = None) -> list[Result]:
    """Return the results in `store`, or those of one session, in the order asked for."""
    found = results_of(store.read())
    return [result for result in found if session in (None, result.session.id)]


def results_of(lines: Iterable[Line]) -> list[Result]:
    """Derive results from lines, in any order; a line that comes twice counts once.

    A configuration of which no slice was measured (skipped, failed, killed early) has none.
    """
    sessions: dict[str, Session] = {}
    parts: defaultdict[tuple[str, str], list[Any]] = defaultdict(list)
    readings: defaultdict[str, list[Reading]] = defaultdict(list)
    for line in _distinct(lines):
        if isinstance(line, Session):
            sessions[line.id] = line
        elif isinstance(line, Reading):
            readings[line.session].append(line)
        elif isinstance(line, _PARTS):
            parts[line.session, line.result].append(line)
    planned = [(session, run) for session in sessions.values() for run in session.plan]
    found = (
        _result(session, run, parts[session.id, run.result], readings[session.id])
        for session, run in planned
    )
    return [result for result in found if result.slices or result.summary]


def _distinct(lines: Iterable[Line]) -> list[Line]:
    first: dict[tuple[object, ...], Line] = {}
    for line in lines:
        first.setdefault(line.key, line)
    return list(first.values())


def _result(
    session: Session,
    configuration: Configuration,
    lines: Sequence[Line],
    readings: Sequence[Reading],
) -> Result:
    ends = [line.stopped for line in lines if isinstance(line, End)]
    return Result(
        session,
        configuration,
        processes=tuple(line for line in lines if isinstance(line, Process)),
        slices=tuple(line for line in lines if isinstance(line, Slice)),
        memory=next((line for line in lines if isinstance(line, Memory)), None),
        profile=next((line for line in lines if isinstance(line, Profile)), None),
        numerics=tuple(line for line in lines if isinstance(line, Numerics)),
        minutes=tuple(line for line in lines if isinstance(line, Minute)),
        summary=next((line for line in lines if isinstance(line, Summary)), None),
        readings=tuple(readings),
        failures=tuple(line for line in lines if isinstance(line, Failure)),
        stopped=ends[-1] if ends else None,
    )


def export_results(store: Store, path: Path, *, anonymous: bool = False) -> int:
    """Write the lines of `store` to `path`, itself a store; return the number of results.

    Parameters
    ----------
    anonymous
        Leave out what tells whose devices they are: see `anonymity`.

    Raises
    ------
    UsageError
        There is nothing to export, or `path` cannot be written; what was there is left as it is.
    """
    lines = _distinct(store.read())
    if not lines:
        raise UsageError(f"The store {store.path} is empty", fix="Run `lightmobile bench` first")
    if anonymous:
        from lightmobile.device_bench.anonymity import anonymized

        lines = anonymized(lines)
    write_whole(path, "".join(line.to_json() + "\n" for line in lines))
    return len(results_of(lines))


def import_results(store: Store, path: Path) -> int:
    """Add the lines of `path` that `store` lacks; return the number of results that are new.

    A line counts by its ids: what the store has is never overwritten, the same file twice changes
    nothing, and neither does an anonymous export of the store's own results.

    Raises
    ------
    UsageError
        `path` cannot be read or holds no line of a store, or the store cannot be written.
    """
    from lightmobile.device_bench.anonymity import anonymized

    if not path.exists():
        raise UsageError(f"There is no file {path}")
    theirs = Store(path).read()
    if not theirs:
        raise UsageError(f"{path} holds no results", fix="Give what `results export` wrote")
    ours = store.read()
    known = {line.key for line in ours} | {line.key for line in anonymized(ours)}
    if new := [line for line in _distinct(theirs) if line.key not in known]:
        store.append(*new)
    return len(results_of([*ours, *new])) - len(results_of(ours))


def write_whole(path: Path, text: str) -> None:
    """Write `path` in one step: a reader sees the old file or the new one, never a part.

    Raises
    ------
    UsageError
        It cannot be written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with partial.open("w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written", why=error.strerror or "", fix="Give another file"
        ) from None
    finally:
        with suppress(OSError):
            partial.unlink()
