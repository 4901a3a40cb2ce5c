"""A chart of the page: two sizes of it, its legend, and the data behind it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from lightmobile.text import plain_cell, printable

__all__ = ["NARROW", "WIDE", "Drawing", "csv_text"]

# Pixels: a column of text on a desk, and the inside of a phone's page of 360.
WIDE, NARROW = 820, 328


@dataclass(frozen=True)
class Drawing:
    """What the template shows of a chart.

    Attributes
    ----------
    wide, narrow
        The same chart for a wide and a narrow page, as ``svg`` elements.
    legend
        Classes and names of what is drawn alike; empty where there is one kind.
    data
        The points drawn, as CSV, with the ids of their results.
    rows
        How many rows are shown at once; 0 where it is no chart of rows.
    """

    name: str
    title: str
    caption: str
    wide: str
    narrow: str
    legend: tuple[tuple[str, str], ...]
    data: str
    count: int
    rows: int = 0


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return rows as CSV in which a spreadsheet finds no formula, and a terminal no escape."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([_cell(title) for title in header])
    writer.writerows([_cell(cell) for cell in row] for row in rows)
    return text.getvalue()


def _cell(cell: Any) -> Any:
    return plain_cell(printable(cell)) if isinstance(cell, str) else cell
