"""A report as one page that needs nothing else: no network, no other file.

What strangers named is escaped by the template engine and by matplotlib. Should a hole remain, the
page's own policy lets nothing run but its one script, and nothing be fetched.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from importlib import resources
from typing import TYPE_CHECKING, Any

from lightmobile.device_bench.findings import Column, Row, Table
from lightmobile.device_bench.report.drawing import Drawing
from lightmobile.device_bench.report.plane_chart import draw
from lightmobile.device_bench.report.report import Report
from lightmobile.device_bench.report.rows_chart import RowsChart, draw_rows
from lightmobile.device_bench.report.sections import Group, Plane, absent, sections
from lightmobile.device_bench.report.svg import require_matplotlib
from lightmobile.device_bench.report.tables import filled
from lightmobile.errors import UsageError
from lightmobile.text import aligned

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["html"]

# Rows of a table that are shown before the reader asks for more.
_ROWS = 100
# A row of more results than this names their number: its session names them all.
_IDS = 200
# A column of words longer than this is given room on a phone.
_LONG = 40
_OF_IDS = ("session", "planned result")
_INTERVAL = re.compile(r"[-\d.,e+]+ – [-\d.,e+]+")


def html(report: Report) -> str:
    """Return the page.

    Raises
    ------
    UsageError
        jinja2 or matplotlib is not installed.
    """
    require_matplotlib()
    template = _environment().get_template("report.html.jinja")
    numbers = report.numbers
    style, script = _text("report.css"), _text("report.js")
    return template.render(
        report=report,
        sections=sections(report),
        absent=absent(report),
        drawings=lambda group: _drawings(group, numbers),
        filled=filled,
        column_kinds=_column_kinds,
        cell=_cell,
        numbers=lambda row: _numbers(row.results, numbers),
        ids=_ids,
        rows_shown=_ROWS,
        facts=_facts(report),
        choices=_choices(report),
        style=style,
        script=script,
        style_hash=_hash(style),
        script_hash=_hash(script),
    )


def _environment() -> Environment:
    try:
        from jinja2 import DictLoader, Environment, StrictUndefined
    except ImportError:
        raise UsageError(
            "The page needs the package jinja2",
            why="It is not installed",
            fix="pip install 'lightmobile[report]', or ask for --format md, csv or json",
        ) from None
    return Environment(
        autoescape=True,
        loader=DictLoader({"report.html.jinja": _text("report.html.jinja")}),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _text(name: str) -> str:
    return (resources.files(__package__) / "page" / name).read_text("utf-8")


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _drawings(group: Group, numbers: dict[str, int]) -> list[Drawing]:
    drawn = [_draw(chart, numbers) for chart in group.charts]
    return [each for each in drawn if each]


def _draw(chart: RowsChart | Plane, numbers: dict[str, int]) -> Drawing | None:
    if isinstance(chart, RowsChart):
        return draw_rows(chart, numbers) if chart.rows else None
    return draw(chart.name, chart.chart, numbers, caption=chart.caption, front=chart.front)


def _column_kinds(table: Table, columns: Sequence[Column]) -> list[str]:
    """Return the class of each column's cells: figures, ids, long words, or none."""
    return [_kind([row.cells.get(column.key) for row in table.rows], column) for column in columns]


def _kind(cells: Sequence[object], column: Column) -> str:
    if column.title in _OF_IDS:
        return "id"
    words = [cell for cell in cells if isinstance(cell, str)]
    if all(_INTERVAL.fullmatch(cell) for cell in words):
        return "n"
    return "w" if max(map(len, words)) > _LONG else ""


def _cell(row: Row, column: Column) -> str:
    value = row.cells.get(column.key)
    if value is None:
        return ""
    if isinstance(value, int):
        return f"{value:,}"
    return value if isinstance(value, str) else aligned(value, column.digits)


def _numbers(results: Sequence[str], numbers: dict[str, int]) -> str:
    return " ".join(str(numbers[each]) for each in results if each in numbers)


def _ids(results: Sequence[str]) -> str:
    return " ".join(results) if len(results) <= _IDS else f"{len(results)} results"


def _choices(report: Report) -> dict[str, list[str]]:
    """Return the words of each filter, in the order of the report's devices or the alphabet."""
    every = report.everything
    return {
        "device": [card.name for card in report.devices],
        "runtime": sorted({entry.run.runtime for entry in every}),
        "precision": sorted({entry.run.precision for entry in every}),
    }


def _facts(report: Report) -> dict[str, Any]:
    """Return what the page's script filters by: words, and each result's places among them."""
    words = _choices(report) | {"model": sorted({entry.run.model for entry in report.everything})}
    places = {name: {word: place for place, word in enumerate(words[name])} for name in words}
    return {
        "words": words,
        "results": [
            [
                places["device"][entry.device],
                places["runtime"][entry.run.runtime],
                places["precision"][entry.run.precision],
                places["model"][entry.run.model],
            ]
            for entry in report.everything
        ],
    }
