"""Charts of rows: a label, and beside it a value on a common scale, with its interval or as a bar.

On a phone the label stands above the value. The page's script closes the gaps of rows that are
filtered out: the scale is at the top, and all rows are equally high.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from lightmobile.device_bench.report.drawing import NARROW, WIDE, Drawing, csv_text
from lightmobile.device_bench.report.svg import Canvas, Mark
from lightmobile.text import aligned, figure

__all__ = ["Bar", "ChartRow", "RowsChart", "draw_rows"]

_TOP, _BOTTOM = 30, 8
_LETTER = 6.0
_LOG_FROM = 12


@dataclass(frozen=True)
class Bar:
    """A value of a row; `series` is the place of its kind in the legend."""

    value: float
    low: float | None = None
    high: float | None = None
    series: int = 0
    kind: str = ""
    results: tuple[str, ...] = ()


@dataclass(frozen=True)
class ChartRow:
    """A row of a chart."""

    label: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class RowsChart:
    """Rows in the order shown, from the top.

    Attributes
    ----------
    unit
        What the scale counts: ``median ms``.
    shape
        ``points`` with intervals, on a scale that need not begin at 0, or ``bars`` from 0.
    at_once
        Rows shown before the reader filters; all where 0.
    log
        None: where the values span more than a decade.
    """

    name: str
    title: str
    caption: str
    unit: str
    rows: tuple[ChartRow, ...]
    shape: Literal["points", "bars"]
    series: tuple[str, ...] = ()
    at_once: int = 0
    log: bool | None = None


def draw_rows(chart: RowsChart, numbers: dict[str, int]) -> Drawing:
    """Draw a chart; `numbers` are those of the results by their ids."""
    drawn = {
        width: _canvas(chart, numbers, width).svg(
            f"{chart.name}-{width}", chart.title, chart.caption, _sizes(chart, width)
        )
        for width in (WIDE, NARROW)
    }
    return Drawing(
        name=chart.name,
        title=chart.title,
        caption=chart.caption,
        wide=drawn[WIDE],
        narrow=drawn[NARROW],
        legend=tuple((f"s{place}", name) for place, name in enumerate(chart.series))
        if len(chart.series) > 1
        else (),
        data=csv_text(
            ("label", "series", chart.unit, "low", "high", "results"),
            [
                (row.label, bar.kind, bar.value, bar.low, bar.high, " ".join(bar.results))
                for row in chart.rows
                for bar in row.bars
            ],
        ),
        count=sum(len(row.bars) for row in chart.rows),
        rows=chart.at_once or len(chart.rows),
    )


def _pitch(chart: RowsChart, width: float) -> int:
    most = max((len(row.bars) for row in chart.rows), default=1)
    return (34 if width == NARROW else 20) + 9 * (most - 1)


def _sizes(chart: RowsChart, width: float) -> dict[str, str]:
    """Return what the page's script closes gaps by."""
    return {"data-rows": f"{_TOP} {_pitch(chart, width)} {_BOTTOM}"}


def _canvas(chart: RowsChart, numbers: dict[str, int], width: float) -> Canvas:
    narrow = width == NARROW
    labels = [row.label for row in chart.rows]
    pitch = _pitch(chart, width)
    room = 8 if narrow else min(300, 14 + _LETTER * max(map(len, labels), default=0))
    height = _TOP + pitch * len(chart.rows) + _BOTTOM
    canvas = Canvas(width, height, left=room, right=62, top=_TOP, bottom=_BOTTOM)
    low, high, log = _span(chart)
    canvas.scale("x", low, high, log=log, ticks=4 if narrow else 7)
    canvas.axes.xaxis.tick_top()
    canvas.axes.xaxis.set_tick_params(length=0)
    canvas.axes.set_ylim(len(chart.rows), 0)
    canvas.axes.yaxis.set_visible(False)
    limit = int((width - 16) / _LETTER) if narrow else int((room - 10) / _LETTER) + 1
    for place, row in enumerate(chart.rows):
        _draw_row(canvas, row, place, chart, numbers, pitch, limit, narrow)
    return canvas


def _draw_row(
    canvas: Canvas,
    row: ChartRow,
    place: int,
    chart: RowsChart,
    numbers: dict[str, int],
    pitch: float,
    limit: int,
    narrow: bool,
) -> None:
    every = tuple(numbers[each] for bar in row.bars for each in bar.results if each in numbers)
    cut = len(row.label) > limit
    words = row.label[: limit - 1] + "…" if cut else row.label
    mark = Mark("label", every, row.label if cut else "", row=place)
    if narrow:
        canvas.text(canvas.left, place + 9 / pitch, words, mark, at="left")
    else:
        canvas.text(canvas.left - 10, place + 0.5, words, mark, align="right", at="left")
    left, right = canvas.axes.get_xlim()
    first = (24 if narrow else pitch / 2 - 4.5 * (len(row.bars) - 1)) / pitch
    for index, bar in enumerate(row.bars):
        y = place + first + index * 9 / pitch
        told = f"{row.label}: {_told(bar)} {chart.unit}"
        if chart.shape == "bars":
            canvas.line([left, bar.value], [y, y], Mark(f"bar s{bar.series}", every, told, place))
        else:
            low, high = (max(left, bar.low or bar.value), min(right, bar.high or bar.value))
            canvas.line([low, high], [y, y], Mark(f"range s{bar.series}", every, told, place))
            canvas.point(bar.value, y, Mark(f"pt s{bar.series}", every, told, place))
        end = max(bar.value, bar.high or bar.value) if chart.shape == "points" else bar.value
        canvas.text(end, y, aligned(bar.value), Mark("value", every, "", place), offset=(7, 0))


def _told(bar: Bar) -> str:
    interval = "" if bar.low is None else f" ({figure(bar.low, 4)} to {figure(bar.high, 4)})"
    return f"{bar.kind + ' ' if bar.kind else ''}{figure(bar.value, 4)}{interval}"


def _span(chart: RowsChart) -> tuple[float, float, bool]:
    values = [
        value
        for row in chart.rows
        for bar in row.bars
        for value in (bar.low, bar.value, bar.high)
        if value is not None
    ]
    least, most = min(values), max(values)
    if chart.shape == "bars" and not chart.log:
        return 0.0, max(most, 1e-12) * 1.02, False
    log = least > 0 and (most / least > _LOG_FROM if chart.log is None else chart.log)
    if log:
        room = max(math.log10(most / least) * 0.03, 0.02)
        return least / 10**room, most * 10**room, True
    room = (most - least) * 0.05 or abs(most) * 0.1 or 1.0
    return max(0.0, least - room) if least >= 0 else least - room, most + room, False
