"""The tables of a report; each row carries the ids of its results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeAlias

from lightmobile.device_bench.findings import Column, Row, Table
from lightmobile.device_bench.report.report import Entry, Report
from lightmobile.device_bench.schema import ArtifactFacts
from lightmobile.text import aligned

__all__ = [
    "cost",
    "earlier",
    "emulated",
    "filled",
    "minutes",
    "numerics",
    "placement",
    "proofs",
    "ranking",
    "sessions",
    "skipped",
    "with_intervals",
    "without_accuracy",
]

Cell: TypeAlias = str | int | float | None
Write: TypeAlias = Callable[[Entry], Cell]

# What names a configuration: shown where it is not the same in every row.
_WHAT: tuple[tuple[str, str, Write], ...] = (
    ("runtime", "runtime", lambda entry: entry.run.runtime),
    ("compute", "compute", lambda entry: entry.run.compute),
    ("backend", "backend", lambda entry: entry.run.backend or None),
    ("precision", "precision", lambda entry: entry.run.precision or None),
    ("batch", "batch", lambda entry: entry.run.batch),
    ("threads", "threads", lambda entry: entry.result.threads),
    ("cores", "cores", lambda entry: entry.run.cores),
    ("clocks", "clocks", lambda entry: entry.run.clocks),
    ("device", "device", lambda entry: entry.device),
)
_ALWAYS = {"runtime", "precision", "threads"}


def filled(table: Table) -> list[Column]:
    """Return the columns in which a row has something; all of a table without rows."""
    return [
        column
        for column in table.columns
        if not table.rows or any(row.cells.get(column.key) is not None for row in table.rows)
    ]


def with_intervals(table: Table) -> Table:
    """Return `table` with a column of words after each figure that has an interval."""
    columns: list[Column] = []
    for column in table.columns:
        columns.append(column)
        if column.low and column.high:
            columns.append(Column(_interval_key(column), "95 % interval"))
    rows = [
        replace(
            row,
            cells=row.cells
            | {
                _interval_key(column): _interval_words(row.cells, column)
                for column in table.columns
                if column.low and column.high
            },
        )
        for row in table.rows
    ]
    return Table(table.title, tuple(columns), tuple(rows))


def _interval_key(column: Column) -> str:
    return f"{column.key} interval"


def _interval_words(cells: Mapping[str, Cell], column: Column) -> str | None:
    low, high = cells.get(column.low), cells.get(column.high)
    if not (isinstance(low, float) and isinstance(high, float)):
        return None
    return f"{aligned(low, column.digits)} – {aligned(high, column.digits)}"


def ranking(report: Report) -> Table:
    """Return every result of a model on a device, by device, the fastest first."""
    what = [each for each in _WHAT if each[0] != "backend" and _tells(each, report.entries)]
    figures: list[tuple[Column, Write]] = [
        (Column("median", "median ms", 4), lambda entry: entry.median_ms),
        (Column("interval", "95 % interval"), _interval),
        (Column("p95", "p95 ms", 4), lambda entry: _milliseconds(entry, "p95")),
        (Column("images", "images/s"), lambda entry: entry.result.images_per_second),
        (Column("load", "load ms"), lambda entry: entry.result.load_ms),
        (Column("first", "first ms"), lambda entry: entry.result.first_ms),
        (Column("memory", "peak MB"), lambda entry: _mega(entry.result.peak_memory_bytes)),
        (Column("top1", "top-1 %", 4), _top1),
        (Column("samples", "samples"), lambda entry: len(entry.result.samples_ns) or None),
        (Column("marks", ""), _marks),
    ]
    told = [each for each in figures[2:] if any(each[1](entry) for entry in report.entries)]
    # On a phone the first columns are all that is seen without scrolling.
    columns = [
        (Column("model", "model"), lambda entry: entry.run.model),
        *figures[:2],
        *((Column(key, title), write) for key, title, write in what),
        *told,
        (Column("session", "session"), lambda entry: entry.result.session.id),
    ]
    return _table("Ranking", columns, report.entries)


def _tells(what: tuple[str, str, Write], entries: Iterable[Entry]) -> bool:
    key, _, write = what
    return key in _ALWAYS or len({write(entry) for entry in entries}) > 1


def _interval(entry: Entry) -> str | None:
    low, high = entry.interval_ms
    return None if low is None or high is None else f"{aligned(low, 4)} – {aligned(high, 4)}"


def _milliseconds(entry: Entry, which: str) -> float | None:
    told = entry.result.summary
    value = getattr(told, f"{which}_ns") if told else getattr(entry.result.latency, which)
    return None if value is None else value / 1e6


def _mega(count: int | None) -> float | None:
    return None if count is None else count / 1e6


def _top1(entry: Entry) -> float | None:
    return entry.top1 if isinstance(entry.top1, float) else None


def _marks(entry: Entry) -> str | None:
    told = entry.result.summary
    mean = "" if told is None else f"by {told.program}"
    if told is not None and told.median_ns is None:
        mean += ": mean"
    parts = [
        "HOT" if entry.result.is_hot else "",
        "interrupted" if entry.result.stopped in (None, "interrupted") else "",
        mean,
    ]
    return ", ".join(part for part in parts if part) or None


def _table(title: str, columns: Iterable[tuple[Column, Write]], entries: Iterable[Entry]) -> Table:
    chosen = list(columns)
    rows = [
        Row({column.key: write(entry) for column, write in chosen}, (entry.id,))
        for entry in entries
    ]
    return Table(title, tuple(column for column, _ in chosen), tuple(rows))


def emulated(report: Report) -> Table:
    """Return the results of emulators, without their times."""
    columns = [
        (Column("model", "model"), lambda entry: entry.run.model),
        *((Column(key, title), write) for key, title, write in _WHAT if key in _SHORT),
        (Column("time", "median ms"), lambda _entry: "EMULATED"),
        (Column("session", "session"), lambda entry: entry.result.session.id),
    ]
    return _table("Emulated", columns, report.emulated)


_SHORT = {"runtime", "precision", "device"}


def without_accuracy(report: Report) -> Table:
    """Return the models that no accuracy stands beside, and why."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for entry in report.entries:
        if isinstance(entry.top1, str):
            reasons.setdefault((entry.run.model, entry.top1), []).append(entry.id)
    rows = [Row({"model": model, "why": why}, tuple(ids)) for (model, why), ids in reasons.items()]
    return Table(
        "Without a published accuracy",
        (Column("model", "model"), Column("why", "why")),
        tuple(rows),
    )


def _artifacts(
    report: Report, has: Callable[[ArtifactFacts], object]
) -> Iterator[tuple[Entry, ArtifactFacts, tuple[str, ...]]]:
    """Return each artifact once, with the facts of its manifest and the results of it."""
    groups: dict[tuple[str, ...], list[Entry]] = {}
    for entry in (*report.entries, *report.emulated):
        if entry.facts and has(entry.facts):
            run = entry.run
            name = (run.artifact_sha256 or "", run.model, run.artifact or "", run.runtime)
            groups.setdefault(name, []).append(entry)
    for group in groups.values():
        facts = group[0].facts
        if facts:
            yield group[0], facts, tuple(entry.id for entry in group)


_ARTIFACT = Column("artifact", "artifact")


def _artifact(entry: Entry) -> dict[str, Cell]:
    return {"artifact": entry.run.artifact or f"{entry.run.model} on {entry.run.runtime}"}


def cost(report: Report) -> Table:
    """Return what each artifact costs by its manifest."""
    rows = []
    for entry, facts, ids in _artifacts(report, lambda facts: facts.file_bytes):
        counted = facts.cost
        cells: dict[str, Cell] = {
            "file": _mega(facts.file_bytes),
            "weights": facts.weights or None,
            "shape": " × ".join(map(str, facts.input_shape)) or None,
        }
        if counted:
            cells |= {
                "macs": _mega(counted.macs),
                "params": _mega(counted.params),
                "activations": _mega(counted.activations),
                "traffic": _mega(counted.ideal_bytes),
                "lowered": _mega(counted.lowered_bytes),
                "set": _mega(counted.working_set_bytes or None),
            }
        rows.append(Row(_artifact(entry) | cells, ids))
    columns = (
        _ARTIFACT,
        Column("macs", "M MACs", 4),
        Column("params", "M params", 4),
        Column("activations", "M activations", 4),
        Column("traffic", "MB ideal traffic", 4),
        Column("lowered", "MB in the file", 4),
        Column("set", "MB working set", 4),
        Column("file", "MB file", 4),
        Column("shape", "input"),
        Column("weights", "weights"),
    )
    return Table("Cost", columns, tuple(rows))


def proofs(report: Report) -> Table:
    """Return how close each artifact was to PyTorch when it was made."""
    rows = []
    for entry, facts, ids in _artifacts(report, lambda facts: facts.proof):
        if proof := facts.proof:
            cells: dict[str, Cell] = {
                "method": proof.method,
                "max_abs": proof.max_abs,
                "rel_l2": proof.rel_l2,
                "sqnr_db": proof.sqnr_db,
                "top1": proof.top1_agreement,
            }
            rows.append(Row(_artifact(entry) | cells, ids))
    columns = (
        _ARTIFACT,
        Column("max_abs", "largest difference", 2),
        Column("rel_l2", "relative L2", 2),
        Column("sqnr_db", "SQNR dB"),
        Column("top1", "same top-1", 4),
        Column("method", "checked in"),
    )
    return Table("Parity at export", columns, tuple(rows))


def numerics(report: Report) -> Table:
    """Return how close outputs on the device were to others of the same inputs."""
    rows = [
        Row(
            _artifact(entry)
            | {
                "device": entry.device,
                "against": each.against,
                "max_abs": each.max_abs,
                "rel_l2": each.rel_l2,
                "steps": each.steps,
                "passed": "agrees" if each.passed else "DIFFERS",
            },
            (entry.id,),
        )
        for entry in (*report.entries, *report.emulated)
        for each in entry.result.numerics
    ]
    columns = (
        _ARTIFACT,
        Column("device", "device"),
        Column("against", "against"),
        Column("max_abs", "largest difference", 2),
        Column("rel_l2", "relative L2", 2),
        Column("steps", "in steps"),
        Column("passed", "verdict"),
    )
    return Table("Parity on the device", columns, tuple(rows))


def placement(report: Report) -> Table:
    """Return which operators of each artifact a delegate takes."""
    rows = []
    for entry, facts, ids in _artifacts(report, lambda facts: facts.placement):
        if placed := facts.placement:
            left = ", ".join(f"{name} {count}" for name, count in placed.undelegated.items())
            cells: dict[str, Cell] = {
                "delegate": placed.delegate or None,
                "subgraphs": placed.subgraphs,
                "delegated": placed.delegated,
                "undelegated": sum(placed.undelegated.values()),
                "left": left or None,
            }
            rows.append(Row(_artifact(entry) | cells, ids))
    columns = (
        _ARTIFACT,
        Column("delegate", "delegate"),
        Column("subgraphs", "pieces"),
        Column("delegated", "operators taken"),
        Column("undelegated", "left"),
        Column("left", "which"),
    )
    return Table("Placement", columns, tuple(rows))


def minutes(report: Report) -> Table:
    """Return every minute of a sustained load."""
    rows = [
        Row(
            {
                "model": entry.run.model,
                "runtime": entry.run.runtime,
                "precision": entry.run.precision,
                "device": entry.device,
                "minute": each["minute"],
                "median": each["median_ms"],
                "p95": each["p95_ms"],
                "images": each["images_per_second"],
                "status": each["thermal_status"],
                "celsius": each["warmest_celsius"],
            },
            (entry.id,),
        )
        for entry in report.entries
        for each in entry.result.sustained
    ]
    columns = (
        Column("model", "model"),
        Column("runtime", "runtime"),
        Column("precision", "precision"),
        Column("device", "device"),
        Column("minute", "minute"),
        Column("median", "median ms", 4),
        Column("p95", "p95 ms", 4),
        Column("images", "images/s"),
        Column("status", "thermal status"),
        Column("celsius", "warmest °C"),
    )
    return Table("Minutes of a sustained load", columns, tuple(rows))


def skipped(report: Report) -> Table:
    """Return what has no result, or not all of it."""
    rows = [
        Row(
            {
                "model": each.model,
                "runtime": each.runtime,
                "precision": each.precision or None,
                "device": each.device,
                "stage": each.stage,
                "why": each.why,
                "result": each.result,
                "session": each.session,
            },
            (each.result,) if each.result in report.numbers else (),
        )
        for each in report.skipped
    ]
    columns = (
        Column("model", "model"),
        Column("runtime", "runtime"),
        Column("precision", "precision"),
        Column("device", "device"),
        Column("stage", "stage"),
        Column("why", "why"),
        Column("session", "session"),
        Column("result", "planned result"),
    )
    return Table("Skipped and failed", columns, tuple(rows))


def sessions(report: Report) -> Table:
    """Return the sessions that the results are of."""
    results: dict[str, list[str]] = {}
    for entry in report.everything:
        results.setdefault(entry.result.session.id, []).append(entry.id)
    rows = []
    for card in report.devices:
        for session in card.sessions:
            study = session.study + (" (small size)" if session.quick else "")
            cells: dict[str, Cell] = {
                "started": _utc(session.started),
                "device": card.name,
                "study": study or None,
                "count": len(results[session.id]),
                "load": session.condition.load_average,
                "heat": "HOT" if session.id in card.hot else None,
                "version": session.lightmobile,
                "id": session.id,
            }
            rows.append(Row(cells, tuple(results[session.id])))
    columns = (
        Column("started", "started"),
        Column("device", "device"),
        Column("study", "study"),
        Column("count", "results"),
        Column("load", "load average before"),
        Column("heat", "heat"),
        Column("version", "lightmobile"),
        Column("id", "session"),
    )
    return Table("Sessions", columns, tuple(rows))


def earlier(report: Report) -> Table:
    """Return the sessions of studies that a later one replaces."""
    rows = [
        Row({"study": each.study, "started": _utc(each.started), "id": each.id})
        for each in report.earlier
    ]
    columns = (Column("study", "study"), Column("started", "started"), Column("id", "session"))
    return Table("Earlier sessions of studies", columns, tuple(rows))


def _utc(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
