"""A report as rows: one a result, the emulated ones without their times."""

from __future__ import annotations

from typing import Any

from lightmobile.device_bench.report.drawing import csv_text
from lightmobile.device_bench.report.report import Entry, Report

__all__ = ["FIELDS", "csv"]

_TIMES = (
    *("median_ms", "ci95_low_ms", "ci95_high_ms", "p5_ms", "p90_ms", "p95_ms"),
    *("images_per_second", "load_ms", "first_ms"),
)
_WHAT = (
    *("id", "session", "started", "study", "model", "artifact", "runtime", "compute", "backend"),
    *("precision", "batch", "threads", "cores", "clocks", "device", "emulated", "hot"),
)
_COUNTED = ("macs", "params", "activations", "activation_bytes", "weight_bytes", "lowered_bytes")
FIELDS = (
    *_WHAT,
    *_TIMES,
    *("peak_memory_bytes", "samples", "processes", "stopped", "published_top1", "file_bytes"),
    *_COUNTED,
    *("delegated", "undelegated", "sqnr_db", "rel_l2"),
)


def csv(report: Report) -> str:
    """Return every result of the report as CSV, operators too."""
    rows = map(_row, _all(report))
    return csv_text(FIELDS, ([row.get(field) for field in FIELDS] for row in rows))


def _all(report: Report) -> tuple[Entry, ...]:
    return (*report.entries, *report.operators, *report.emulated)


def _row(entry: Entry) -> dict[str, Any]:
    document = entry.to_dict()
    latency = document.pop("latency_ms")
    low, high = latency.pop("ci95")
    times = {f"{name}_ms": value for name, value in latency.items()}
    times |= {"ci95_low_ms": low, "ci95_high_ms": high}
    row = document | times | {"device": entry.device} | _facts(entry)
    return row | dict.fromkeys(_TIMES) if row["emulated"] else row


def _facts(entry: Entry) -> dict[str, Any]:
    facts = entry.facts
    if facts is None:
        return {}
    row: dict[str, Any] = {"file_bytes": facts.file_bytes}
    if facts.cost:
        row |= {name: getattr(facts.cost, name) for name in _COUNTED}
    if facts.placement:
        row["delegated"] = facts.placement.delegated
        row["undelegated"] = sum(facts.placement.undelegated.values())
    if facts.proof:
        row |= {"sqnr_db": facts.proof.sqnr_db, "rel_l2": facts.proof.rel_l2}
    return row
