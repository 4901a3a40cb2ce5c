"""Charts of points and lines over two axes, and the bars of findings, which lie in rows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from lightmobile.device_bench.findings import Chart, Point, Series
from lightmobile.device_bench.report.drawing import NARROW, WIDE, Drawing, csv_text
from lightmobile.device_bench.report.rows_chart import Bar, ChartRow, RowsChart, draw_rows
from lightmobile.device_bench.report.svg import Canvas, Mark
from lightmobile.text import figure

__all__ = ["draw"]

# More labels than this hide the points; those left out are told when a point is touched.
_MOST_LABELS = 16


def draw(
    name: str,
    chart: Chart,
    numbers: dict[str, int],
    *,
    caption: str = "",
    front: frozenset[tuple[int, int]] | None = None,
) -> Drawing | None:
    """Draw a chart of findings, or None where it has no point.

    Parameters
    ----------
    name
        Unique on the page.
    numbers
        Of the results by their ids: what a filter hides goes by them.
    front
        Series and place of the points on the Pareto front, which is then drawn through them, and
        drawn anew by the page's script when points are filtered out.
    """
    chart = replace(chart, series=tuple(_drawable(series, chart) for series in chart.series))
    points = [point for series in chart.series for point in series.points]
    if not points:
        return None
    if any(series.kind == "bars" for series in chart.series):
        return draw_rows(_as_rows(name, chart, caption), numbers)
    drawn = {
        width: _canvas(chart, numbers, width, front).svg(f"{name}-{width}", chart.title, caption)
        for width in (WIDE, NARROW)
    }
    return Drawing(
        name=name,
        title=chart.title,
        caption=caption,
        wide=drawn[WIDE],
        narrow=drawn[NARROW],
        legend=tuple(
            (f"s{place} {series.kind}", series.name) for place, series in enumerate(chart.series)
        )
        if len(chart.series) > 1
        else (),
        data=csv_text(
            ("series", "label", chart.x, chart.y, "low", "high", "results"),
            [
                (s.name, p.label, p.x, p.y, p.low, p.high, " ".join(p.results))
                for s in chart.series
                for p in s.points
            ],
        ),
        count=len(points),
    )


def _drawable(series: Series, chart: Chart) -> Series:
    """Return the points that have a place: finite, and above 0 on a logarithmic axis."""
    points = [
        replace(point, low=_end(point.low, chart), high=_end(point.high, chart))
        for point in series.points
        if math.isfinite(point.x)
        and math.isfinite(point.y)
        and (point.x > 0 or not chart.x_log or series.kind == "bars")
        and (point.y > 0 or not chart.y_log)
    ]
    return replace(series, points=tuple(points))


def _end(value: float | None, chart: Chart) -> float | None:
    """Return an end of an interval, or None where it has no place."""
    if value is None or not math.isfinite(value) or (chart.y_log and value <= 0):
        return None
    return value


def _as_rows(name: str, chart: Chart, caption: str) -> RowsChart:
    """Return a chart of bars turned on its side: labels stay readable on a phone."""
    places = sorted({point.x for series in chart.series for point in series.points})
    rows = []
    for place in places:
        bars = [
            (point.label, Bar(point.y, point.low, point.high, index, series.name, point.results))
            for index, series in enumerate(chart.series)
            for point in series.points
            if point.x == place
        ]
        label = next((label for label, _ in bars if label), figure(place))
        rows.append(ChartRow(label, tuple(bar for _, bar in bars)))
    return RowsChart(
        name=name,
        title=chart.title,
        caption=caption,
        unit=chart.y,
        rows=tuple(rows),
        shape="points" if _below_zero(chart) or chart.y_log else "bars",
        series=tuple(series.name for series in chart.series),
        log=chart.y_log,
    )


def _below_zero(chart: Chart) -> bool:
    return any(point.y < 0 for series in chart.series for point in series.points)


def _canvas(
    chart: Chart,
    numbers: dict[str, int],
    width: float,
    front: frozenset[tuple[int, int]] | None,
) -> Canvas:
    narrow = width == NARROW
    height = 300 if narrow else 400
    canvas = Canvas(width, height, left=52, right=14, top=14, bottom=44)
    xs = [point.x for series in chart.series for point in series.points]
    ys = [
        value
        for series in chart.series
        for point in series.points
        for value in (point.y, point.low, point.high)
        if value is not None
    ]
    x_low, x_high, x_log = _limits(xs, chart.x_log)
    y_low, y_high, y_log = _limits(ys, chart.y_log)
    canvas.scale("x", x_low, x_high, log=x_log, title=chart.x, ticks=5 if narrow else 9)
    canvas.scale("y", y_low, y_high, log=y_log, title=chart.y)
    if front is not None:
        canvas.line(*_steps(chart, front), Mark("front"))
    for place, series in enumerate(chart.series):
        if series.kind == "line":
            _draw_line(canvas, place, series.points, numbers)
    labels = set(front) if front is not None else _labelled(chart)
    for place, series in enumerate(chart.series):
        if series.kind == "points":
            for index, point in enumerate(series.points):
                told = (place, index) in labels
                _draw_point(canvas, place, point, numbers, series.name, told, front is not None)
    return canvas


def _labelled(chart: Chart) -> set[tuple[int, int]]:
    """Return the series and places of the points that have room for their label."""
    named = {
        (place, index): point.label
        for place, series in enumerate(chart.series)
        if series.kind == "points"
        for index, point in enumerate(series.points)
        if point.label
    }
    return set(named) if len(named) <= _MOST_LABELS else set()


def _draw_line(
    canvas: Canvas, place: int, points: Sequence[Point], numbers: dict[str, int]
) -> None:
    name = next((point.label for point in points if point.label), "")
    mark = Mark(f"line s{place}", _numbers(points, numbers), name)
    canvas.line([point.x for point in points], [point.y for point in points], mark)
    for point in points:
        if point.low is not None:
            _draw_point(canvas, place, replace(point, label=""), numbers, point.label, False, False)


def _draw_point(
    canvas: Canvas,
    place: int,
    point: Point,
    numbers: dict[str, int],
    series: str,
    labelled: bool,
    on_demand: bool,
) -> None:
    own = _numbers([point], numbers)
    interval = "" if point.low is None else f" ({figure(point.low, 4)} to {figure(point.high, 4)})"
    named = ", ".join(part for part in (point.label, series) if part)
    told = f"{named}: {figure(point.x, 4)}, {figure(point.y, 4)}{interval}"
    if point.low is not None and point.high is not None:
        canvas.line([point.x] * 2, [point.low, point.high], Mark(f"range s{place}", own, told))
    on = " on" if labelled and on_demand else ""
    canvas.point(point.x, point.y, Mark(f"pt s{place}", own, told))
    if point.label and (labelled or on_demand):
        side, align = _side(canvas, point.x)
        mark = Mark(f"note{on}" if on_demand else "note on", own)
        canvas.text(point.x, point.y, point.label, mark, offset=(side, 8), align=align)


def _side(canvas: Canvas, x: float) -> tuple[float, str]:
    """Write towards the middle near an edge, so that no label is cut off."""
    left, right = canvas.axes.get_xlim()
    if canvas.axes.get_xscale() == "log":
        left, right, x = math.log10(left), math.log10(right), math.log10(x)
    return (5, "left") if (x - left) / (right - left) < 0.6 else (-5, "right")


def _numbers(points: Iterable[Point], numbers: dict[str, int]) -> tuple[int, ...]:
    found = {numbers[each] for point in points for each in point.results if each in numbers}
    return tuple(sorted(found))


def _steps(chart: Chart, front: frozenset[tuple[int, int]]) -> tuple[list[float], list[float]]:
    points = sorted(
        (chart.series[place].points[index].x, chart.series[place].points[index].y)
        for place, index in front
    )
    xs, ys = [points[0][0]], [points[0][1]]
    for x, y in points[1:]:
        xs += [x, x]
        ys += [ys[-1], y]
    return xs, ys


def _limits(values: Sequence[float], log: bool) -> tuple[float, float, bool]:
    positive = [value for value in values if value > 0]
    if log and positive:
        low, high = min(positive), max(positive)
        room = max(math.log10(high / low) * 0.06, 0.05)
        return low / 10**room, high * 10**room, True
    low, high = min(values), max(values)
    room = (high - low) * 0.07 or abs(high) * 0.1 or 1.0
    return (max(0.0, low - room) if low >= 0 else low - room), high + room, False
