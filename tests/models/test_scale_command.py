import csv
import io

import pytest

from tests.cli import lightmobile


@pytest.mark.slow
def test_scale_prints_the_strategies_side_by_side_and_names_the_model():
    document = lightmobile("scale", "regnety_400mf", "--flops", "2e8", "--json").json
    rows = {row["strategy"]: row for row in document["candidates"]}
    assert set(rows) == {"d", "w1_g1", "r", "d1_w1_g1_r1", "dWr"}
    assert document["export"] == rows["dWr"]["name"]
    assert rows["dWr"]["macs"] == pytest.approx(2e8, rel=0.1)
    info = lightmobile("info", document["export"], "--json").json
    assert info["training"]["macs"] == rows["dWr"]["macs"]
    assert info["input_size"] == rows["dWr"]["input_size"]


@pytest.mark.slow
def test_another_strategy_joins_the_table():
    words = "scale", "regnety_400mf", "--flops", "2e8", "--strategy", "a0.6"
    table = lightmobile(*words).out
    rows = list(csv.DictReader(io.StringIO(lightmobile(*words, "--csv").out)))
    assert len(rows) == 6
    assert f"To export a0.6: lightmobile export {rows[0]['name']}" in table


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["regnety_40mf", "--flops", "4e9"], "regnety_400mf"),
        (["fasternet_t0", "--flops", "4e9"], "cannot be scaled"),
        (["regnety_400mf@dWr:2", "--flops", "4e9"], "already"),
        (["regnety_400mf", "--flops", "0"], "cannot be scaled to"),
        (["regnety_400mf", "--flops", "many"], "many"),
        (["regnety_400mf", "--flops", "4e9", "--strategy", "x"], "strategy"),
        (["regnety_400mf"], "--flops"),
    ],
)
def test_bad_words(words, part):
    done = lightmobile("scale", *words)
    assert done.code == 2
    assert part in done.err
    assert done.out == ""
