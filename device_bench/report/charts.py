"""The charts of a report, of its latest results: a chart a device, with what can be read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from lightmobile.device_bench.findings import Chart, Column, Point, Row, Series, Table
from lightmobile.device_bench.report.accuracy import front
from lightmobile.device_bench.report.report import Entry, Report
from lightmobile.device_bench.report.rows_chart import Bar, ChartRow, RowsChart

__all__ = ["Accuracy", "accuracy", "intervals", "memory", "profiles", "sustained"]

# Rows of a chart at once, and those that wait for a filter to make room.
_AT_ONCE, _DRAWN = 30, 72
_DEVICES = 6
_PROFILES, _OPERATORS = 12, 12
_CURVES = 8
_TASKS = {1000: "ImageNet-1k, 1000 classes", 10: "10 classes"}


@dataclass(frozen=True)
class Accuracy:
    """A chart of accuracy against latency, and what is on its front."""

    chart: Chart
    caption: str
    front: frozenset[tuple[int, int]]


def intervals(report: Report) -> list[RowsChart]:
    """Return the median of each configuration with its interval, a chart a device."""
    return [
        _rows_chart(
            f"intervals-{place}",
            f"Median latency on {device}",
            "median ms",
            "points",
            entries,
            lambda entry: (entry.median_ms, *entry.interval_ms),
        )
        for place, (device, entries) in enumerate(_by_device(report, report.entries))
    ]


def memory(report: Report) -> list[RowsChart]:
    """Return what each configuration took of memory, the least first, a chart a device."""
    known = [entry for entry in report.entries if entry.result.peak_memory_bytes is not None]
    return [
        _rows_chart(
            f"memory-{place}",
            f"Peak memory on {device}",
            "MB",
            "bars",
            sorted(entries, key=_peak),
            lambda entry: (_peak(entry), None, None),
        )
        for place, (device, entries) in enumerate(_by_device(report, known))
    ]


def _peak(entry: Entry) -> float:
    return (entry.result.peak_memory_bytes or 0) / 1e6


def _by_device(report: Report, entries: Iterable[Entry]) -> list[tuple[str, list[Entry]]]:
    """Return the latest of `entries` by device; of the devices with the most results."""
    groups: dict[str, list[Entry]] = {card.name: [] for card in report.devices}
    for entry in entries:
        if entry.latest:
            groups[entry.device].append(entry)
    return [(name, found) for name, found in groups.items() if found][:_DEVICES]


def _rows_chart(
    name: str,
    title: str,
    unit: str,
    shape: str,
    entries: Sequence[Entry],
    measure: Callable[[Entry], tuple[float, float | None, float | None]],
) -> RowsChart:
    runtimes = sorted({entry.run.runtime for entry in entries})
    label = labels(entries)
    rows = []
    for entry in _quota(entries):
        place = runtimes.index(entry.run.runtime)
        bar = Bar(*measure(entry), place, entry.run.runtime, (entry.id,))
        rows.append(ChartRow(label(entry), (bar,)))
    return RowsChart(
        name=name,
        title=title,
        caption=_caption(len(entries), len(rows)),
        unit=unit,
        rows=tuple(rows),
        shape="bars" if shape == "bars" else "points",
        series=tuple(runtimes),
        at_once=min(_AT_ONCE, len(rows)),
    )


def _caption(entries: int, rows: int) -> str:
    if entries <= _AT_ONCE:
        return ""
    shown = f"The first {_AT_ONCE} of {entries}"
    return f"{shown}; a filter makes room for those after them." if rows > _AT_ONCE else f"{shown}."


def _quota(entries: Sequence[Entry]) -> list[Entry]:
    """Return the first of every runtime and precision, so that each filter leaves some."""
    kinds = {(entry.run.runtime, entry.run.precision) for entry in entries}
    each = max(3, _DRAWN // max(1, len(kinds)))
    taken: defaultdict[tuple[str, str], int] = defaultdict(int)
    kept = []
    for place, entry in enumerate(entries):
        kind = (entry.run.runtime, entry.run.precision)
        taken[kind] += 1
        if taken[kind] <= each or place < _AT_ONCE:
            kept.append(entry)
    return kept


def labels(entries: Sequence[Entry]) -> Callable[[Entry], str]:
    """Return what names an entry among `entries`: its model, and what is not the same in all."""
    varies = {key: len({write(entry) for entry in entries}) > 1 for key, write in _PARTS.items()}

    def label(entry: Entry) -> str:
        parts = [write(entry) for key, write in _PARTS.items() if varies[key]]
        return ", ".join([entry.run.model, *(part for part in parts if part)])

    return label


_PARTS: dict[str, Callable[[Entry], str]] = {
    "runtime": lambda entry: entry.run.runtime,
    "compute": lambda entry: entry.run.compute,
    "precision": lambda entry: entry.run.precision,
    "batch": lambda entry: f"batch {entry.run.batch}",
    "threads": lambda entry: f"{entry.result.threads or '?'} thr.",
    "cores": lambda entry: entry.run.cores or "",
    "clocks": lambda entry: entry.run.clocks,
}


def accuracy(report: Report) -> list[Accuracy]:
    """Return published accuracy against latency, a chart a device and task."""
    found = []
    known = [entry for entry in report.entries if isinstance(entry.top1, float)]
    for device, entries in _by_device(report, known):
        for classes in sorted({entry.classes or 0 for entry in entries}, reverse=True):
            group = [entry for entry in entries if (entry.classes or 0) == classes]
            found.append(_accuracy(device, classes, group))
    return found


def _accuracy(device: str, classes: int, entries: Sequence[Entry]) -> Accuracy:
    fastest: dict[tuple[str, str, str], Entry] = {}
    for entry in entries:  # the fastest first
        kind = (entry.run.runtime, entry.run.precision)
        fastest.setdefault((entry.run.model, *kind), entry)
    kinds = sorted({key[1:] for key in fastest})
    series = tuple(
        Series(
            " ".join(kind),
            "points",
            tuple(_accuracy_point(each) for key, each in fastest.items() if key[1:] == kind),
        )
        for kind in kinds
    )
    places = [(s, p) for s, each in enumerate(series) for p in range(len(each.points))]
    points = [series[s].points[p] for s, p in places]
    times = [point.x for point in points]
    chart = Chart(
        f"Published top-1 against latency on {device}",
        "median ms",
        "published top-1 %",
        series,
        x_log=max(times) > 5 * min(times),
    )
    best = frozenset(places[index] for index in front((point.x, point.y) for point in points))
    return Accuracy(chart, _TASKS.get(classes, f"{classes} classes"), best)


def _accuracy_point(entry: Entry) -> Point:
    top1 = entry.top1 if isinstance(entry.top1, float) else 0.0
    return Point(entry.median_ms, top1, label=entry.run.model, results=(entry.id,))


def sustained(report: Report) -> list[Chart]:
    """Return latency by minute, a chart a device, the fastest first."""
    charts = []
    known = [entry for entry in report.entries if entry.result.minutes]
    for device, entries in _by_device(report, known):
        label = labels(entries)
        charts.append(
            Chart(
                f"Latency by minute on {device}"
                + (f", {_CURVES} of {len(entries)}" if len(entries) > _CURVES else ""),
                "minute",
                "median ms",
                tuple(
                    Series(
                        label(entry),
                        "line",
                        tuple(
                            Point(each["minute"], each["median_ms"], results=(entry.id,))
                            for each in entry.result.sustained
                        ),
                    )
                    for entry in entries[:_CURVES]
                ),
            )
        )
    return charts


def profiles(report: Report) -> tuple[list[tuple[str, RowsChart, Table]], int]:
    """Return each profiled result's name, dearest operators and table; how many were left out."""
    known = [entry for entry in report.entries if entry.latest and entry.result.profile]
    label = labels(known)
    found = []
    for place, entry in enumerate(known[:_PROFILES]):
        title = f"{label(entry)} on {entry.device}"
        found.append((title, *_profile(place, entry, title)))
    return found, len(known) - len(found)


def _profile(place: int, entry: Entry, title: str) -> tuple[RowsChart, Table]:
    operators = entry.result.operators
    rows = tuple(
        ChartRow(each["name"], (Bar(each["median_ms"], results=(entry.id,)),))
        for each in operators[:_OPERATORS]
    )
    shown = f"{len(rows)} of {len(operators)}, median ms"
    chart = RowsChart(f"profile-{place}", "Dearest operators", shown, "median ms", rows, "bars")
    columns = (
        Column("name", "operator"),
        Column("median", "median ms"),
        Column("share", "share %"),
        Column("delegate", "delegate"),
    )
    cells = [
        {
            "name": each["name"],
            "delegate": each["delegate"],
            "median": each["median_ms"],
            "share": 100 * each["share"],
        }
        for each in operators
    ]
    table = Table(
        f"All operators of {title}", columns, tuple(Row(each, (entry.id,)) for each in cells)
    )
    return chart, table
