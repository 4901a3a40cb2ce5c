"""``bench-ops`` and ``roofline``, as a user runs them."""

import json

import pytest

from tests.cli import lightmobile


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_bench_ops_measures_operators_and_their_roofs(tmp_path):
    store = tmp_path / "store.jsonl"
    ran = lightmobile(
        "bench-ops",
        "pconv",
        "dwconv",
        "--quick",
        "--runtime",
        "tflite",
        "--rounds",
        "2",
        "--store",
        store,
        "--json",
        timeout=900,
    )
    # Code 3 would be an operator above its roof, which two rounds of a busy machine may show.
    assert ran.code in (0, 3), ran.err
    findings = json.JSONDecoder().raw_decode(ran.out)[0]["findings"]
    assert findings["study"] == "bench-ops"
    assert findings["quick"] is True
    operators = findings["tables"][0]["rows"]
    assert len(operators) == 4
    for row in operators:
        assert row["cells"]["gflops"] > 0
        assert row["cells"]["share"] > 0
        assert row["results"]
    kept = {json.loads(line).get("result") for line in store.read_text().splitlines()}
    assert {id_ for row in operators for id_ in row["results"]} <= kept
    assert len(findings["summary"]) >= 2


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_roofline_tells_where_a_models_cost_goes(tmp_path):
    ran = lightmobile(
        "roofline",
        "mobilenet_v2,depths=1x1x1x1x1x1x1,resolution=32",
        "--quick",
        "--runtime",
        "executorch",
        "--rounds",
        "2",
        "--store",
        tmp_path / "store.jsonl",
        "--json",
        timeout=900,
    )
    assert ran.code == 0, ran.err
    models, stages, kinds = ran.json["findings"]["tables"]
    assert models["rows"][0]["cells"]["binds"] in ("compute", "memory")
    for table in (stages, kinds):
        for key in ("params", "macs", "bytes", "time"):
            assert sum(row["cells"][key] for row in table["rows"]) == pytest.approx(100)
    assert {"depthwise 3x3", "conv 1x1"} <= {row["cells"]["kind"] for row in kinds["rows"]}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["pconw"], "no operator"),
        (["--sizes", "96"], "list such as"),
        (["--threads", "0"], "threads"),
        (["--device", "toaster"], "toaster"),
        (["--precision", "fp8"], "fp8"),
    ],
)
def test_wrong_words_are_told(words, told):
    ran = lightmobile("bench-ops", "--quick", *words)
    assert ran.code == 2
    assert told in ran.err
