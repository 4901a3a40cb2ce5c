"""``lightmobile study`` as a user runs it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

import pytest

from lightmobile.device_bench.benchmark import BenchReport, bench
from lightmobile.device_bench.results import results
from lightmobile.device_bench.store import Store
from lightmobile.device_bench.studies.registry import findings_of, list_studies
from lightmobile.device_bench.studies.run import measure, run_study
from lightmobile.device_bench.studies.study import QUICK, Study
from lightmobile.errors import LightmobileError
from tests.cli import lightmobile

TIMED = [each.name for each in list_studies() if isinstance(each, Study)]


def test_the_list_names_every_study_and_its_question() -> None:
    text = lightmobile("study").out
    rows = lightmobile("study", "--json").json["studies"]
    table = list(csv.DictReader(io.StringIO(lightmobile("study", "--csv").out)))
    assert rows == table
    for each, row in zip(list_studies(), rows, strict=True):
        assert row == {"name": each.name, "question": each.question, "paper": each.paper}
        assert each.name in text
        assert each.question in text


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["fasternet-claim"], "fasternet-claims"),
        (["kernel-importance"], "trained weights"),
        (["conv-approximation", "--checkpoint", "a.pth"], "--images"),
        (["kernel-importance", "--checkpoint", "absent.pth"], "absent.pth"),
        (["hetconv-p", "--images", "."], "--images"),
        (["hetconv-p", "--device", "toaster"], "toaster"),
        (["hetconv-p", "--runtime", "onnx", "--quick"], "onnx"),
        (["hetconv-p", "--rounds", "0"], "0"),
    ],
)
def test_bad_words_are_told(words, part, tmp_path) -> None:
    done = lightmobile("study", *words, cwd=tmp_path)
    assert done.code == 2
    assert part in done.err
    assert done.out == ""


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.usefixtures("lasting_exporters")
def test_every_study_runs_in_its_small_size(tmp_path) -> None:
    store = tmp_path / "results.jsonl"
    first, *others = TIMED
    done = lightmobile("study", first, "--quick", "--json", "--store", store, timeout=500)
    assert done.code == 0, done.err
    printed = {first: done.json["findings"]}
    # As one command after another would, but that the exporters are imported once.
    for name in others:
        printed[name] = _as_json(run_study(name, quick=True, store=store).to_dict())
    for name, found in printed.items():
        assert found["study"] == name
        assert found["quick"]
        assert QUICK in found["notes"]
        assert found["claims"]
        assert not any("Not measured" in note or "Left out" in note for note in found["notes"])
        # Whoever has the store can derive it again.
        again = findings_of(results(Store(store), session=found["session"]))
        assert again is not None
        assert _as_json(again.to_dict()) == found


def _as_json(value: object) -> Any:
    return json.loads(json.dumps(value))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("lasting_exporters")
def test_a_network_that_cannot_be_exported_is_named_and_the_others_are_measured(tmp_path) -> None:
    good, bad = "op:conv,channels=8,size=8,layers=1", "tests.studies.networks:stubborn"

    def run(models: Sequence[str]) -> BenchReport:
        store = Store(tmp_path / "results.jsonl")
        return bench(models, runtimes=("executorch",), rounds=1, memory=False, store=store)

    report, broken = measure(run, (bad, good), ("executorch",))
    assert [each.configuration.model for each in report.results] == [good]
    assert list(broken) == [(bad, "executorch")]
    with pytest.raises(LightmobileError):
        measure(run, (bad,), ("executorch",))
