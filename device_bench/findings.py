"""What an experiment found: tables, charts and claims, each traceable to the results behind it.

They are derived from the lines of a store and never kept: whoever has the store can derive them
again. The command line, the report and ``--json`` show the same ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

__all__ = ["Chart", "Claim", "Column", "Findings", "Point", "Row", "Series", "Table", "Verdict"]

Cell: TypeAlias = str | int | float | None
Verdict: TypeAlias = Literal["holds", "does not hold", "undecided"]


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    key
        Of the cells in the rows.
    title
        With the unit, where there is one: ``median ms``.
    digits
        Significant ones of a figure.
    low, high
        The keys of the ends of its 95 % interval, where it has one.
    """

    key: str
    title: str
    digits: int = 3
    low: str = ""
    high: str = ""


@dataclass(frozen=True)
class Row:
    """A row of a table; `results` are the ids of those that it was computed from."""

    cells: dict[str, Cell]
    results: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """Rows under columns; a cell that a row lacks is empty."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Point:
    """A point of a chart, with the 95 % interval of y where it is known.

    `label` names it, and `results` are the ids of those that it was computed from. In a chart of
    bars the label is what stands below the bar, and x its place.
    """

    x: float
    y: float
    low: float | None = None
    high: float | None = None
    label: str = ""
    results: tuple[str, ...] = ()


@dataclass(frozen=True)
class Series:
    """Points of one kind, drawn alike."""

    name: str
    kind: Literal["points", "line", "bars"]
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Chart:
    """Series over the same axes."""

    title: str
    x: str
    y: str
    series: tuple[Series, ...]
    x_log: bool = False
    y_log: bool = False


@dataclass(frozen=True)
class Claim:
    """What a paper says, and what this device says to it.

    Attributes
    ----------
    paper
        In its own figures, with its source.
    verdict
        ``undecided`` where the interval holds both answers, or too little was measured.
    here
        What was measured, in plain words with the interval.
    """

    paper: str
    verdict: Verdict
    here: str
    results: tuple[str, ...] = ()


@dataclass(frozen=True)
class Findings:
    """All that one experiment found on one device.

    Attributes
    ----------
    study
        Its name, such as ``pconv-vs-dwconv``.
    question
        What it asks.
    session, device
        The id of the session that it is derived from, and the device's label.
    summary
        What it found, in plain sentences made from the figures.
    notes
        What the reader must know: what was left out, and why.
    """

    study: str
    question: str
    session: str
    device: str
    tables: tuple[Table, ...] = ()
    charts: tuple[Chart, ...] = ()
    claims: tuple[Claim, ...] = ()
    summary: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    quick: bool = False
    emulated: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return what ``--json`` prints."""
        from dataclasses import asdict

        return asdict(self)
