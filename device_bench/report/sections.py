"""The sections of a report: words, tables and charts, not yet drawn or written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lightmobile.device_bench.findings import Chart, Claim, Findings, Table
from lightmobile.device_bench.report import charts, tables
from lightmobile.device_bench.report.report import Report
from lightmobile.device_bench.report.rows_chart import RowsChart

__all__ = ["Group", "Plane", "Section", "absent", "sections"]

# Studies whose findings are of the device itself, before those of the papers' claims.
_OF_THE_DEVICE = ("bench-ops", "roofline")
_OPERATORS = 8


@dataclass(frozen=True)
class Plane:
    """A chart over two axes; `front` are the series and places of its Pareto front."""

    name: str
    chart: Chart
    caption: str = ""
    front: frozenset[tuple[int, int]] | None = None


@dataclass(frozen=True)
class Group:
    """What belongs together below a heading, and may be folded away.

    `rows` are those of its tables that are shown at first; 0 is as many as of any.
    """

    title: str
    charts: tuple[RowsChart | Plane, ...] = ()
    tables: tuple[Table, ...] = ()
    claims: tuple[Claim, ...] = ()
    text: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    folded: bool = False
    rows: int = 0


@dataclass(frozen=True)
class Section:
    """A section; one without groups is not shown."""

    key: str
    title: str
    groups: tuple[Group, ...]
    text: tuple[str, ...] = ()


def sections(report: Report) -> list[Section]:
    """Return the sections of which the report has anything."""
    found = (build(report) for build, _ in _SECTIONS)
    return [section for section in found if section.groups]


def absent(report: Report) -> list[str]:
    """Return what the store has nothing of, and how to get it."""
    return [how for build, how in _SECTIONS if how and not build(report).groups]


def _ranking(report: Report) -> Section:
    return Section(
        "ranking",
        "Ranking",
        (Group("", tables=(tables.ranking(report),)),) if report.entries else (),
        _words_of_ranking(report),
    )


def _words_of_ranking(report: Report) -> tuple[str, ...]:
    words = [
        "Median latency of one inference, with the 95 % interval of the median by bootstrap over "
        "processes and slices. Top-1 is the published accuracy; it was not measured here.",
    ]
    if len({entry.result.session.id for entry in report.entries}) > 1:
        words.append(
            "The rows come from more than one session. Results of different sessions are unpaired: "
            "the device's heat and load lie in their difference too, and a small one says nothing."
        )
    if hot := sum(entry.result.is_hot for entry in report.entries):
        words.append(
            f"HOT marks {hot} {'result' if hot == 1 else 'results'}: the device throttled, or was "
            "not cool when it should have been."
        )
    return tuple(words)


def _intervals(report: Report) -> Section:
    drawn = charts.intervals(report)
    return Section(
        "intervals",
        "Latency intervals",
        tuple(Group("", charts=(chart,)) for chart in drawn),
        ("The latest result of each configuration, its median and 95 % interval, fastest first.",),
    )


def _accuracy(report: Report) -> Section:
    groups = []
    for number, found in enumerate(charts.accuracy(report)):
        plane = Plane(f"accuracy-{number}", found.chart, found.caption, found.front)
        groups.append(Group("", charts=(plane,)))
    table = tables.without_accuracy(report)
    if groups and table.rows:
        groups.append(Group("Left out", tables=(table,), folded=len(table.rows) > 8))
    return Section(
        "accuracy",
        "Accuracy against latency",
        tuple(groups),
        (
            "Top-1 accuracy as published with each model, for its published weights; the latency "
            "was measured here. A point is the fastest latest result of a model on a runtime in a "
            "precision. The line is the Pareto front: no other point is both as fast and as "
            "accurate.",
        ),
    )


def _roofline(report: Report) -> Section:
    found = [each for each in report.findings if each.study in _OF_THE_DEVICE]
    return Section("roofline", "Roofline and operators", tuple(_study(each) for each in found))


def _studies(report: Report) -> Section:
    found = [each for each in report.findings if each.study not in _OF_THE_DEVICE]
    groups = [_study(each) for each in found]
    if groups and report.earlier:
        groups.append(
            Group("Earlier sessions of studies", tables=(tables.earlier(report),), folded=True)
        )
    return Section("studies", "Studies of the papers' claims", tuple(groups))


def _study(found: Findings) -> Group:
    name = f"{found.study}-{found.session}".replace(":", "-")
    size = "Measured in its small size, to see that it works. " if found.quick else ""
    return Group(
        title=f"{found.study} on {found.device}",
        charts=tuple(
            Plane(f"study-{name}-{number}", chart) for number, chart in enumerate(found.charts)
        ),
        tables=tuple(map(tables.with_intervals, found.tables)),
        claims=found.claims,
        text=(found.question, *found.summary),
        notes=(f"{size}Session {found.session}.", *found.notes),
    )


def _profiles(report: Report) -> Section:
    found, left_out = charts.profiles(report)
    groups = [
        Group(
            title=title,
            charts=(chart,),
            tables=(table,),
            folded=number > 0,
            rows=_OPERATORS,
        )
        for number, (title, chart, table) in enumerate(found)
    ]
    words = "Time by operator, from a pass of its own: timing operators slows the whole down."
    more = f" {left_out} more profiles: --format json has them all." if left_out else ""
    return Section("profiles", "Operators of each model", tuple(groups), (words + more,))


def _memory(report: Report) -> Section:
    drawn = charts.memory(report)
    return Section(
        "memory",
        "Memory",
        tuple(Group("", charts=(chart,)) for chart in drawn),
        (
            "What the artifact took at its peak, beyond the runtime with nothing loaded, from a "
            "pass of its own.",
        ),
    )


def _cost(report: Report) -> Section:
    table = tables.cost(report)
    return Section(
        "cost",
        "Cost",
        (Group("", tables=(table,)),) if table.rows else (),
        (
            "Counted, not measured: what one inference of the deployed network takes. Traffic is "
            "the ideal one, every operator reading and writing once; in the file, copies count.",
        ),
    )


def _sustained(report: Report) -> Section:
    drawn = charts.sustained(report)
    groups = [Group("", charts=(Plane(f"sustained-{n}", each),)) for n, each in enumerate(drawn)]
    if groups:
        groups.append(Group("Minutes", tables=(tables.minutes(report),), folded=True))
    return Section(
        "sustained", "Sustained load", tuple(groups), ("Latency by minute, without a break.",)
    )


def _parity(report: Report) -> Section:
    at_export, on_device = tables.proofs(report), tables.numerics(report)
    groups = [
        Group("", tables=(table,), text=(words,))
        for table, words in (
            (at_export, "When each artifact was made: its outputs against PyTorch's."),
            (on_device, "On the device: its outputs against PyTorch's and the host runtime's."),
        )
        if table.rows
    ]
    return Section("parity", "Parity", tuple(groups))


def _placement(report: Report) -> Section:
    table = tables.placement(report)
    return Section(
        "placement",
        "Placement",
        (Group("", tables=(table,)),) if table.rows else (),
        ("Which operators of each artifact a delegate takes.",),
    )


def _emulated(report: Report) -> Section:
    table = tables.emulated(report)
    return Section(
        "emulated",
        "Emulated",
        (Group("", tables=(table,)),) if table.rows else (),
        ("By an emulator, whose time says nothing of a device's: no latency is shown.",),
    )


def _skipped(report: Report) -> Section:
    table = tables.skipped(report)
    groups = [Group("", tables=(table,))] if table.rows else []
    if report.notes:
        groups.append(Group("", text=report.notes))
    return Section("skipped", "Skipped and failed", tuple(groups))


def _sessions(report: Report) -> Section:
    return Section("sessions", "Sessions", (Group("", tables=(tables.sessions(report),)),))


_SECTIONS: tuple[tuple[Callable[[Report], Section], str], ...] = (
    (_ranking, ""),
    (_intervals, ""),
    (_accuracy, "accuracy against latency: bench models whose accuracy is published"),
    (_roofline, "roofline and operators: `lightmobile bench-ops`"),
    (_studies, "studies of the papers' claims: `lightmobile study`"),
    (_profiles, "time by operator: `lightmobile bench --profile`"),
    (_memory, ""),
    (_cost, ""),
    (_sustained, "sustained load: `lightmobile bench --sustained MIN`"),
    (_parity, "parity on the device: `lightmobile bench --numerics`"),
    (_placement, ""),
    (_emulated, ""),
    (_skipped, ""),
    (_sessions, ""),
)
