from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest

from lightmobile.device_bench.report import Report, collect, write
from lightmobile.device_bench.report.flat import FIELDS
from tests.report import stores


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    store = stores.stored(tmp_path_factory.mktemp("store") / "results.jsonl", stores.studied())
    return collect(store, findings_of=stores.findings_of)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Report:
    store = stores.stored(tmp_path_factory.mktemp("hostile") / "results.jsonl", stores.hostile())
    return collect(store, findings_of=stores.findings_of)


def test_json_has_the_documented_form(report: Report) -> None:
    document = json.loads(write(report, "json"))
    assert set(document) == {
        *("report", "made", "lightmobile", "store", "filters", "devices", "results", "emulated"),
        *("operators", "findings", "earlier_studies", "skipped", "notes"),
    }
    assert document["report"] == 1
    assert [result["id"] for result in document["results"]] == [e.id for e in report.entries]
    first = document["results"][1]
    assert first["published_top1"] == 71.9
    assert first["facts"]["cost"]["macs"] == 335_422_720
    assert first["samples"] == 30
    assert "samples_ns" not in first
    assert [each["id"] for each in document["emulated"]] == ["e1"]
    point = document["findings"][1]["charts"][0]["series"][1]["points"][0]
    assert point["results"] == ["roof-1-0"]


def test_json_shows_no_key_that_this_version_does_not_know(tmp_path: Path) -> None:
    device = stores.DEVICE.model_copy(update={"owner": "anna", "name": "annas-laptop"})
    lines = stores.small()
    lines[0] = lines[0].model_copy(update={"device": device})
    store = stores.stored(tmp_path / "results.jsonl", lines)
    assert "anna" in store.path.read_text()
    for format_ in ("json", "csv", "md"):
        assert "anna" not in write(collect(store), format_)


def test_csv_has_a_row_a_result_and_no_time_of_an_emulator(report: Report) -> None:
    rows = list(csv.DictReader(io.StringIO(write(report, "csv"))))
    assert list(rows[0]) == list(FIELDS)
    assert {row["id"] for row in rows} == set(report.numbers)
    by_id = {row["id"]: row for row in rows}
    assert by_id["e1"]["emulated"] == "True"
    assert by_id["e1"]["median_ms"] == by_id["e1"]["images_per_second"] == ""
    assert float(by_id["h1"]["median_ms"]) == pytest.approx(12.5, rel=1e-3)
    assert by_id["h1"]["delegated"] == "44"


def test_markdown_has_the_tables_with_their_ids(report: Report) -> None:
    text = write(report, "md")
    assert "## Ranking" in text
    assert "## Latency intervals" not in text  # a chart alone
    assert "| mobilenet_v2 | 15 |" in text
    assert "**does not hold** (study-2-0)" in text
    assert "EMULATED" in text
    assert "777" not in text
    assert report.source.sha256 in text


def test_hostile_names_are_text_in_markdown(hostile: Report) -> None:
    text = write(hostile, "md")
    assert "\\<script\\>alert(1)\\</script\\>" in text
    tables = [line for line in text.splitlines() if line.startswith("| ")]
    left = [re.sub(r"\\.", "", line) for line in tables]
    # What is not escaped is ours: the bars between cells.
    assert not [line for line in left if re.search(r"[<>\[\]`*$]|javascript:/", line)]
    ranking = [line for line in left if "EMULATED" not in line and line.count("session-") == 1]
    assert len({line.count("|") for line in ranking}) <= 3  # also what was skipped, the sessions


def test_hostile_names_are_no_formulas_in_csv(hostile: Report) -> None:
    rows = list(csv.reader(io.StringIO(write(hostile, "csv"))))
    cells = [cell for row in rows for cell in row]
    assert not [cell for cell in cells if cell[:1] in tuple("=+-@\t\r")]
    assert "'=cmd()|' /C calc'!A0" in cells
    assert not [cell for cell in cells if not cell.isprintable()]
    assert {len(row) for row in rows} == {len(FIELDS)}


def test_hostile_names_survive_json(hostile: Report) -> None:
    document = json.loads(write(hostile, "json"))
    told = {result["model"] for result in document["results"]}
    assert {"<script>alert(1)</script>", "]]>", "$\\frac{$"} <= told


@pytest.mark.parametrize("format_", ["html", "md", "csv", "json"])
def test_no_format_names_a_folder_or_moves_a_terminal(
    hostile: Report, format_: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    text = write(hostile, format_)
    assert str(tmp_path_factory.getbasetemp()) not in text
    assert "\x1b" not in text
    assert "\u202e" not in text
