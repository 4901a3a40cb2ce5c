from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from lightmobile.device_bench.findings import Chart, Point, Series
from lightmobile.device_bench.report.drawing import Drawing
from lightmobile.device_bench.report.plane_chart import draw
from lightmobile.device_bench.report.rows_chart import Bar, ChartRow, RowsChart, draw_rows

POINTS = Series(
    "kernels", "points", (Point(1, 10, 9, 11, "conv", ("a",)), Point(100, 20, label="x"))
)
LINE = Series("roof", "line", (Point(1, 30), Point(100, 40)))
CHART = Chart("A roof", "operations a byte", "G operations/s", (LINE, POINTS), x_log=True)


def _drawn(chart: Chart) -> Drawing:
    drawing = draw("name", chart, {"a": 7})
    assert drawing is not None
    return drawing


def _circles(svg: str) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(svg).iter("circle"))


def test_points_lie_where_their_figures_say() -> None:
    left, right = _circles(_drawn(CHART).wide)
    assert float(left.get("cx", 0)) < float(right.get("cx", 0))
    assert float(left.get("cy", 0)) > float(right.get("cy", 0))


def test_a_mark_carries_its_results_and_a_roof_none() -> None:
    svg = ElementTree.fromstring(_drawn(CHART).wide)
    owned = {element.get("class"): element.get("data-r") for element in svg.iter()}
    assert owned["line s0"] is None
    assert owned["range s1"] == "7"
    assert _circles(_drawn(CHART).wide)[0].get("data-r") == "7"


def test_nothing_of_the_look_is_in_the_chart() -> None:
    drawing = _drawn(CHART)
    for svg in (drawing.wide, drawing.narrow):
        assert not re.search(r"style=|font-family|#[0-9a-f]{6}|url\(|http|<defs|clip-path", svg)
        assert "<title" in svg
        assert "<desc" in svg


def test_the_data_are_those_that_are_drawn() -> None:
    rows = list(csv.DictReader(io.StringIO(_drawn(CHART).data)))
    assert len(rows) == _drawn(CHART).count == 4
    assert rows[2] == {
        "series": "kernels",
        "label": "conv",
        "operations a byte": "1",
        "G operations/s": "10",
        "low": "9",
        "high": "11",
        "results": "a",
    }


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 0.0, -1.0])
def test_a_point_without_a_place_is_left_out(bad: float) -> None:
    points = replace(POINTS, points=(*POINTS.points, Point(bad, 5)))
    drawing = _drawn(replace(CHART, series=(points,)))
    assert len(_circles(drawing.wide)) == drawing.count == 2


def test_a_chart_without_points_is_none() -> None:
    assert draw("name", replace(CHART, series=()), {}) is None


@pytest.mark.parametrize("values", [(0.0,), (5.0, 5.0), (1e-9, 1e9), (-2.0, 3.0)])
@pytest.mark.parametrize("log", [False, True])
def test_bars_of_any_size_can_be_drawn(values: tuple[float, ...], log: bool) -> None:
    points = tuple(Point(place, value, label=f"{value}") for place, value in enumerate(values))
    chart = Chart("Bars", "what", "ms", (Series("one", "bars", points),), y_log=log)
    drawing = draw("name", chart, {})
    drawable = sum(value > 0 or not log for value in values)
    assert (drawing.count if drawing else 0) == drawable


def test_bars_of_several_series_share_a_row_by_their_label() -> None:
    series = tuple(
        Series(name, "bars", (Point(0, 1 + place, label="conv"), Point(1, 2, label="pool")))
        for place, name in enumerate(("fp32", "int8"))
    )
    drawing = _drawn(Chart("Bars", "operator", "ms", series))
    assert drawing.rows == 2
    assert drawing.count == 4
    assert [name for _, name in drawing.legend] == ["fp32", "int8"]


def test_a_label_is_text_and_never_mathematics() -> None:
    rows = (ChartRow("$\\frac{$ <b>&amp; \N{CJK UNIFIED IDEOGRAPH-6A21}", (Bar(1.0, 0.9, 1.1),)),)
    drawing = draw_rows(RowsChart("name", "Title", "", "ms", rows, "points"), {})
    texts = [element.text for element in ElementTree.fromstring(drawing.wide).iter("text")]
    assert rows[0].label in texts


def test_a_long_label_is_cut_and_told_whole() -> None:
    label = "a_network_with_a_very_long_name," * 5
    rows = (ChartRow(label, (Bar(1.0),)),)
    drawing = draw_rows(RowsChart("name", "Title", "", "ms", rows, "bars"), {})
    for svg in (drawing.wide, drawing.narrow):
        assert f"{label}</title>" in svg
        assert "…" in svg
    assert label in drawing.data
