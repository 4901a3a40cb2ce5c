"""``lightmobile study`` as a user runs it."""

from __future__ import annotations

import csv
import io

import pytest

from lightmobile.device_bench.results import results
from lightmobile.device_bench.store import Store
from lightmobile.device_bench.studies.registry import findings_of, list_studies
from lightmobile.device_bench.studies.study import QUICK, Study
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
@pytest.mark.timeout(600)
def test_every_study_runs_in_its_small_size(tmp_path) -> None:
    store = tmp_path / "results.jsonl"
    printed = {}
    for name in TIMED:
        done = lightmobile("study", name, "--quick", "--json", "--store", store)
        assert done.code == 0, done.err
        printed[name] = done.json["findings"]
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


def _as_json(value: object) -> object:
    import json

    return json.loads(json.dumps(value))
