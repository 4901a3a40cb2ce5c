from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path

import pytest

from tests.cli import lightmobile
from tests.report import stores


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "results.jsonl"
    return stores.stored(path, stores.small()).path


def test_a_report_is_a_page_by_default(store: Path, tmp_path: Path) -> None:
    done = lightmobile("report", "--store", store, "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    assert done.json == {"file": "report.html", "results": 8}
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_other_formats_go_to_standard_output(store: Path, tmp_path: Path) -> None:
    words = ("report", "--store", store, "--format")
    assert lightmobile(*words, "md", cwd=tmp_path).out.startswith("# lightmobile report\n")
    assert len(lightmobile(*words, "json", cwd=tmp_path).json["results"]) == 7
    rows = list(csv.DictReader(io.StringIO(lightmobile(*words, "csv", cwd=tmp_path).out)))
    assert len(rows) == 8
    assert list(tmp_path.iterdir()) == []


def test_filters_and_a_file(store: Path, tmp_path: Path) -> None:
    target = tmp_path / "some.json"
    words = ("--device", "host", "--runtime", "tflite,executorch", "--precision", "int8")
    done = lightmobile("report", "--store", store, *words, "--format", "json", "-o", target)
    assert done.out == f"Wrote 1 results to {target}\n"
    document = json.loads(target.read_text())
    assert [result["id"] for result in document["results"]] == ["h4"]
    assert document["filters"]["runtime"] == ["tflite", "executorch"]


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--device", "toaster"], "toaster"),
        (["--runtime", "onnx"], "executorch"),
        (["--format", "pdf"], "html"),
        (["--format", "md", "--json"], "-o"),
        (["--format", "md", "-o", "absent/report.md"], "cannot be written"),
        (["--store", "absent.jsonl"], "holds no results"),
    ],
)
def test_bad_words_get_a_message(store: Path, tmp_path: Path, words: list[str], part: str) -> None:
    done = lightmobile("report", "--store", store, *words, cwd=tmp_path)
    assert done.code == 2
    assert part in done.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("package", ["jinja2", "matplotlib"])
def test_a_missing_package_is_named_with_the_command(
    store: Path, tmp_path: Path, package: str
) -> None:
    # A package that cannot be imported, found before the one that can.
    (tmp_path / f"{package}.py").write_text("raise ImportError('not here')\n")
    env = {"PYTHONPATH": str(tmp_path)}
    target = tmp_path / "report.html"
    done = lightmobile("report", "--store", store, "-o", target, env=env)
    assert done.code == 2
    assert package in done.err
    assert "pip install 'lightmobile[report]'" in done.err
    assert not target.exists()
    assert lightmobile("report", "--store", store, "--format", "md", env=env).code == 0


def test_a_terminal_is_not_moved_by_a_name(tmp_path: Path) -> None:
    path = stores.stored(tmp_path / "results.jsonl", stores.hostile()).path
    for words in (["--format", "md"], ["--format", "csv"], ["--device", "\x1b[31mno"]):
        done = lightmobile("report", "--store", path, *words)
        assert "\x1b" not in done.out + done.err
        assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in done.out + done.err


def test_help_needs_no_chart_and_no_template() -> None:
    code = (
        "import sys; from lightmobile.cli import run; run(['report', '--help']); "
        "sys.exit(bool({'jinja2', 'matplotlib', 'numpy', 'torch'} & set(sys.modules)))"
    )
    import subprocess

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
