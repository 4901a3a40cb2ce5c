import json
import subprocess
import sys
from pathlib import Path

import pytest

from lightmobile.errors import UsageError
from lightmobile.export.artifact import slug
from lightmobile.models import complexity, create_model, list_models, model_info
from lightmobile.models.scaling import UNSCALED, Scaling, Strategy, candidates, fit_groups

COUNTS = Path(__file__).parents[2].parent / "shared" / "facts" / "scaled_counts.jsonl"
BASES = {
    "effnet/EN-B0_dds_8gpu.yaml": "efficientnet_b0",
    "regnety/RegNetY-400MF_dds_8gpu.yaml": "regnety_400mf",
    "regnety/RegNetY-600MF_dds_8gpu.yaml": "regnety_600mf",
    "regnety/RegNetY-4.0GF_dds_8gpu.yaml": "regnety_4gf",
    "RegNetZ-500MF": "regnetz_500mf",
    "RegNetZ-4GF": "regnetz_4gf",
}


@pytest.mark.skipif(not COUNTS.exists(), reason="the reference counts are not at hand")
@pytest.mark.parametrize(
    "every",
    [pytest.param(3, marks=pytest.mark.slow), pytest.param(1, marks=pytest.mark.nightly)],
)
def test_the_reference_counts_are_reproduced_to_the_digit(every):
    rows = [json.loads(line) for line in COUNTS.read_text().splitlines()]
    assert len(rows) == 84
    for row in rows[::every]:
        scaling = "" if row["type"] == "-" else f"@{row['type']}:{row['scale']}"
        name = BASES[row["base"]] + scaling
        cost = complexity(name)
        assert (cost.flops, cost.params, cost.activations) == (
            row["flops"],
            row["params"],
            row["acts"],
        ), name


# Scaled by the archived reference tool, where the rows above do not reach.
@pytest.mark.parametrize(
    ("name", "flops", "params", "acts"),
    [
        ("efficientnet_b0@dWr:10", 3_880_260_476, 33_077_868, 28_740_380),
        ("efficientnet_b0@dWr:40", 13_988_108_890, 106_521_146, 56_967_914),
        ("regnety_400mf@dWr:8", 2_943_085_196, 24_770_252, 11_865_644),
        ("regnety_400mf@a0.8:32", 11_677_377_800, 84_798_888, 24_937_416),
        ("regnety_4gf@dWr:4", 15_608_249_240, 68_144_472, 26_542_408),
        ("regnetz_500mf@d1_w8_g8_r1:32", 16_186_796_344, 135_452_568, 42_626_200),
    ],
)
def test_published_scaled_networks(name, flops, params, acts):
    cost = complexity(name)
    assert (cost.flops, cost.params, cost.activations) == (flops, params, acts)


@pytest.mark.parametrize(
    ("text", "weights", "slug"),
    [
        ("dWr", "d1_w8_g8_r1", "d1w8g8r1-s8"),
        ("a0.8", "d1_w8_g8_r1", "d1w8g8r1-s8"),
        ("d2_w16_g16_r2", "d1_w8_g8_r1", "d1w8g8r1-s8"),
        ("dwr", "d1_w1_r1", "d1w1r1-s8"),
        ("w", "w1", "w1-s8"),
        ("a1", "w1_g1", "w1g1-s8"),
        ("a0.6", "d1_w3_g3_r1", "d1w3g3r1-s8"),
        ("d0.5_w4", "d1_w8", "d1w8-s8"),
        ("d1_w4_g0_r1", "d1_w4_r1", "d1w4r1-s8"),
    ],
)
def test_a_strategy_has_one_meaning_however_it_is_written(text, weights, slug):
    assert str(Strategy.parse(text)) == weights
    assert Scaling.parse(f"{text}:8").slug == slug


def test_a_fraction_of_a_scale_keeps_its_digits_in_the_slug():
    assert Scaling.parse("dWr:2.5").slug == "d1w8g8r1-s2p5"
    assert Scaling.parse("dWr:25").slug == "d1w8g8r1-s25"


def test_artifacts_are_named_after_the_strategy():
    assert slug("regnety_400mf@dWr:8") == slug("regnety_400mf@a0.8:8.0")
    assert slug("regnety_400mf@dWr:8") == "regnety_400mf-d1w8g8r1-s8"
    assert slug("regnety_400mf@dwr:8") == "regnety_400mf-d1w1r1-s8"
    assert slug("regnety_400mf@dWr:8 ") not in ("regnety_400mf", slug("regnety_400mf@dWr:8"))


@pytest.mark.parametrize("text", ["d", "w", "r", "dwr", "dWr", "a0.6", "d1_w4_r1"])
def test_factors_multiply_to_the_scale(text):
    factors = Strategy.parse(text).factors(8)
    assert factors.depth * (factors.width * factors.resolution) ** 2 == pytest.approx(8)


def test_groups_follow_the_width_only_where_they_are_named():
    assert Strategy.parse("dwr").factors(8).group == 1
    fast = Strategy.parse("dWr").factors(8)
    assert fast.group == fast.width


def test_groups_are_rounded_as_the_reference_tool_does():
    factors = Strategy.parse("w1_g1").factors(4)
    assert factors.group_widths([1, 2, 3, 8, 10]) == [
        2,
        4,
        8,
        16,
        16,
    ]  # 20 lies half-way, and goes to even
    assert UNSCALED.group_widths([1, 3, 5, 11, 12, 13]) == [1, 4, 4, 8, 16, 16]


def test_widths_are_fitted_to_their_groups():
    assert fit_groups([112, 240, 592], 1, [40, 40, 40]) == ([120, 240, 600], [40, 40, 40])
    assert fit_groups([15, 40], 4, [8, 256]) == ([16, 40], [8, 160])


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("regnety_400mf@", "how to scale"),
        ("regnety_400mf@dWr", "how to scale"),
        ("regnety_400mf@dWr:", "not a scale"),
        ("regnety_400mf@dWr:0", "not a scale"),
        ("regnety_400mf@dWr:-8", "not a scale"),
        ("regnety_400mf@dWr:nan", "not a scale"),
        ("regnety_400mf@dWr:inf", "not a scale"),
        ("regnety_400mf@dWr:1_0", "not a scale"),
        ("regnety_400mf@dWr:1000000", "not a scale"),
        ("regnety_400mf@dWr:8@dWr:8", "not a scale"),
        ("regnety_400mf@DWR:8", "not a scaling strategy"),
        ("regnety_400mf@:8", "not a scaling strategy"),
        ("regnety_400mf@g:8", "neither depth, width nor resolution"),
        ("regnety_400mf@dd:8", "twice"),
        ("regnety_400mf@d1_d2:8", "twice"),
        ("regnety_400mf@d-1_w2:8", "not a scaling strategy"),
        ("regnety_400mf@a1.5:8", "alpha"),
        ("regnety_400mf@r:500", "pixels"),
        ("regnety_400mf@r:0.01", "pixels"),
        ("regnety_40mf@dWr:8", "regnety_400mf"),
        ("fasternet_t0@dWr:8", "regnety_400mf"),
    ],
)
def test_bad_names_are_usage_errors(name, part):
    with pytest.raises(UsageError, match=part) as caught:
        model_info(name)
    assert caught.value.fix


@pytest.mark.parametrize(
    ("name", "part"), [("regnety_400mf@d:500", "blocks"), ("efficientnet_b0@w:1000", "channels")]
)
def test_absurd_networks_are_refused_before_they_are_built(name, part):
    with pytest.raises(UsageError, match=part):
        complexity(name)


def test_facts_of_a_scaled_model():
    facts, base = model_info("regnety_400mf@dWr:8"), model_info("regnety_400mf")
    assert facts.name == "regnety_400mf@dWr:8"
    assert facts.input_size == facts.preprocessing.crop == (248, 248)
    assert facts.preprocessing.resize == 283
    assert base.published
    assert not facts.published


def test_scaled_models_are_listed_by_base():
    assert list_models("regnetz*@dWr:8") == ["regnetz_4gf@dWr:8", "regnetz_500mf@dWr:8"]
    assert "@" not in "".join(list_models())


def test_names_and_facts_need_no_torch():
    code = (
        "import sys; from lightmobile.models import list_models, model_info;"
        "model_info(list_models('regnetz*@a0.6:4')[0]); assert 'torch' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_options_are_another_way_to_write_the_name():
    by_name = create_model("efficientnet_b0@dwr:0.1", num_classes=3)
    by_options = create_model("efficientnet_b0", scale=0.1, strategy="dwr", num_classes=3)
    shapes = [{k: v.shape for k, v in m.state_dict().items()} for m in (by_name, by_options)]
    assert shapes[0] == shapes[1]


def test_candidates_come_near_the_macs_asked_for():
    found = candidates("regnety_400mf", 8e8, ["dWr", "dwr", "w1_g1"])
    assert [candidate.strategy for candidate in found] == ["dWr", "dwr", "w1_g1"]
    for candidate in found:
        assert candidate.macs == pytest.approx(8e8, rel=0.1)
        assert candidate.macs == complexity(candidate.name).macs
        assert candidate.input_size == model_info(candidate.name).input_size
    fast, uniform, width = (candidate.activations for candidate in found)
    assert width < fast < uniform


@pytest.mark.parametrize("macs", [0, -1e9, float("nan"), float("inf"), 1, 1e15])
def test_macs_out_of_reach(macs):
    with pytest.raises(UsageError, match="cannot be scaled to"):
        candidates("regnety_400mf", macs)
