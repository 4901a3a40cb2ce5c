"""The page in a browser: quiet, whole, sorted and filtered, at the sizes of a phone and a desk."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from lightmobile.device_bench.report import collect, write
from tests.report import stores

pytestmark = pytest.mark.tool("chromium")

WIDTHS = (360, 1440)
SCHEMES = ("light", "dark")
Opened = Callable[..., Any]


@contextmanager
def opened(browser: Browser, path: Path, width: int = 1440, **options: Any) -> Iterator[Page]:
    """Open a page; whatever it logs, raises or asks the network for fails the test."""
    context = browser.new_context(viewport={"width": width, "height": 900}, **options)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(path.as_uri())
    yield page
    assert complaints == []
    assert requests == [path.as_uri()]
    context.close()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_everything_is_there_and_nothing_sticks_out(
    browser: Browser, page_file: Path, width: int, scheme: str
) -> None:
    with opened(browser, page_file, width, color_scheme=scheme) as page:
        assert page.evaluate("document.documentElement.scrollWidth") == width
        page.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
        charts = page.locator("figure svg:visible")
        assert charts.count() == page.locator("figure").count() >= 8
        for index in range(charts.count()):
            box = charts.nth(index).bounding_box()
            assert box is not None
            assert min(box["width"], box["height"]) > 40
            assert box["x"] + box["width"] <= width
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert _contrast(page) > 7


def _contrast(page: Page) -> float:
    """The ratio of the luminances of text and paper, as WCAG defines it."""
    colours = page.evaluate(
        "(({color, backgroundColor}) => [color, backgroundColor])(getComputedStyle(document.body))"
    )
    light, dark = sorted((_luminance(colour) for colour in colours), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(part) / 255 for part in colour[4:-1].split(",")]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def _column(page: Page, title: str) -> list[str]:
    return page.evaluate(
        """(title) => {
          const table = document.querySelector('#ranking table');
          const heads = [...table.querySelectorAll('th')].map((head) => head.textContent.trim());
          return [...table.tBodies[0].rows].filter((row) => row.checkVisibility())
            .map((row) => row.cells[heads.indexOf(title)].textContent.trim());
        }""",
        title,
    )


def test_a_click_on_a_title_sorts(browser: Browser, page_file: Path) -> None:
    with opened(browser, page_file) as page:
        by_device = _column(page, "median ms")
        page.locator("#ranking th button", has_text="median ms").click()
        ascending = _column(page, "median ms")
        assert ascending == sorted(by_device, key=float) != by_device
        page.locator("#ranking th button", has_text="median ms").click()
        assert _column(page, "median ms") == ascending[::-1]
        page.locator("#ranking th button", has_text="model").click()
        assert _column(page, "model") == sorted(_column(page, "model"))
        head = page.locator("#ranking th", has_text="model")
        assert head.get_attribute("aria-sort") == "ascending"


def test_filters_act_on_rows_charts_and_cards(browser: Browser, page_file: Path) -> None:
    with opened(browser, page_file) as page:
        page.select_option("[data-filter=device]", label="host")
        page.select_option("[data-filter=runtime]", label="tflite")
        assert set(_column(page, "runtime")) == {"tflite"}
        assert _column(page, "device") == ["host"]
        assert page.locator(".card:visible").count() == 1
        assert page.locator("#intervals .wide .row:visible").count() == 1
        assert page.locator("#accuracy .wide circle:visible").count() == 1
        assert page.locator("#sustained").get_by_text("Nothing here is of this choice").is_visible()
        assert page.locator("#filters output").text_content() == "1 of 20 results"
        page.select_option("[data-filter=runtime]", label="all")
        page.fill("[data-filter=model]", "MOBILENET")
        assert _column(page, "model") == ["mobilenet_v2"]
        page.fill("[data-filter=model]", "")
        page.select_option("[data-filter=device]", label="all")
        assert len(_column(page, "model")) == 7
        assert page.locator("#filters output").text_content() == "20 results"


def test_the_front_is_of_the_points_that_are_left(browser: Browser, page_file: Path) -> None:
    with opened(browser, page_file) as page:
        notes = page.locator("#accuracy-0 .wide text.note.on:visible")
        # FasterNet-T0 is fastest in ExecuTorch; of TFLite there is one point alone.
        assert sorted(notes.all_text_contents()) == ["fasternet_t0", "mobilenet_v2"]
        before = page.locator("#accuracy-0 .wide path.front").get_attribute("d")
        page.select_option("[data-filter=runtime]", label="tflite")
        assert notes.all_text_contents() == ["fasternet_t0"]
        assert page.locator("#accuracy-0 .wide path.front").get_attribute("d") != before


def test_rows_that_are_filtered_out_leave_no_gap(browser: Browser, page_file: Path) -> None:
    with opened(browser, page_file) as page:
        chart = page.locator("#intervals-0 .wide svg")
        tall = chart.bounding_box()
        page.select_option("[data-filter=precision]", label="int8")
        short = chart.bounding_box()
        assert tall is not None
        assert short is not None
        assert short["height"] < tall["height"] - 3 * 19
        row = page.locator("#intervals-0 .wide .row:visible").bounding_box()
        assert row is not None
        assert short["y"] <= row["y"] <= short["y"] + short["height"]


def test_a_chart_has_its_data_and_their_ids_behind_it(
    browser: Browser, page_file: Path, tmp_path: Path
) -> None:
    with opened(browser, page_file) as page:
        data = page.locator("#intervals-0 .data")
        data.locator("summary").click()
        text = data.locator("pre").text_content()
        assert text is not None
        assert text.splitlines()[0] == "label,series,median ms,low,high,results"
        assert text.splitlines()[1].endswith(",h4")
        with page.expect_download() as saved:
            data.get_by_text("Save as CSV").click()
        saved.value.save_as(tmp_path / "saved.csv")
        assert saved.value.suggested_filename == "intervals-0.csv"
        assert (tmp_path / "saved.csv").read_text() == text


def test_an_id_is_whole_and_shows_itself(browser: Browser, page_file: Path) -> None:
    with opened(browser, page_file) as page:
        cell = page.locator("#ranking tbody tr").first.locator("td.id").last
        assert cell.text_content() == "h4\n"
        cell.click()
        assert "whole" in (cell.get_attribute("class") or "")


def test_print_is_light_and_without_what_only_a_screen_can_do(
    browser: Browser, page_file: Path
) -> None:
    with opened(browser, page_file, color_scheme="dark") as page:
        page.emulate_media(media="print")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") in (
            "rgb(255, 255, 255)"
        )
        assert not page.locator("#filters").is_visible()
        assert not page.locator(".data").first.is_visible()
        assert page.locator("#intervals-0").is_visible()
        assert page.pdf(format="A4").startswith(b"%PDF")


def test_without_scripts_everything_is_still_shown(browser: Browser, page_file: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(page_file.as_uri())
    assert not page.locator("#filters").is_visible()
    assert page.locator("#ranking tbody tr:visible").count() == 7
    assert page.locator("#intervals-0 .wide .row:visible").count() == 5
    assert page.locator("#profiles tbody tr:visible").count() == 20
    context.close()


def test_a_hostile_name_is_text(browser: Browser, tmp_path: Path) -> None:
    store = stores.stored(tmp_path / "results.jsonl", stores.hostile())
    report = collect(store, findings_of=stores.findings_of)
    path = tmp_path / "report.html"
    path.write_text(write(report, "html"))
    with opened(browser, path) as page:
        assert page.locator("script").count() == 2
        assert page.locator("img, iframe, object, embed, a:not([href^='#'])").count() == 0
        names = page.evaluate(
            "[...document.querySelectorAll('*')].flatMap((each) => each.getAttributeNames())"
        )
        assert [name for name in names if name.startswith("on")] == []
        told = [entry.run.model for entry in report.entries]
        assert _column(page, "model") == [name.strip() for name in told]
        for places in ("#devices dl div:first-child dd", "#profiles summary h3"):
            shown = page.locator(places).all_text_contents()
            assert all(any(name in text for text in shown) for name in told)
        # Long labels are cut; these are not long.
        assert set(told) <= set(page.locator("#profiles .narrow text.label").all_text_contents())
        assert {"all", *told} == set(
            page.locator("[data-filter=precision] option").all_text_contents()
        )
        page.select_option("[data-filter=precision]", label=told[0])
        assert _column(page, "model") == [told[0]]


@pytest.mark.slow
def test_a_page_of_5000_results_is_light_and_opens_fast(browser: Browser, tmp_path: Path) -> None:
    store = stores.stored(tmp_path / "results.jsonl", stores.many(5000))
    report = collect(store)
    assert len(report.everything) == 5000
    path = tmp_path / "report.html"
    path.write_text(write(report, "html"))
    assert path.stat().st_size < 5e6
    assert min(_seconds_to_open(browser, path) for _ in range(3)) < 2
    with opened(browser, path) as page:
        assert page.locator("#ranking tbody tr:visible").count() == 100
        assert page.locator("#intervals-0 .wide .row:visible").count() == 30
        page.select_option("[data-filter=precision]", label="int8")
        # A filter makes room for rows that were beyond the chart's first ones.
        assert page.locator("#intervals-0 .wide .row:visible").count() >= 20
        page.get_by_text("Show all").first.click()
        assert page.locator("#ranking tbody tr:visible").count() > 1000


def _seconds_to_open(browser: Browser, path: Path) -> float:
    """The seconds from the request until the page is loaded, its script done and all laid out."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    start = time.perf_counter()
    page.goto(path.as_uri())
    assert page.evaluate("document.body.offsetHeight") > 900
    seconds = time.perf_counter() - start
    context.close()
    return seconds
