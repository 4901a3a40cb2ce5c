"""What each study says to results whose answer is known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lightmobile.device_bench.findings import Claim, Findings
from lightmobile.device_bench.schema_artifact import Cost
from lightmobile.device_bench.studies.hetconv_p import kernels
from lightmobile.device_bench.studies.registry import findings_of
from tests.device_bench.lines import DEVICE
from tests.studies.made import cost, made, measured, named


def _found(name: str, *arguments, **changes) -> Findings:
    found = findings_of(made(name, *arguments, **changes))
    assert found is not None
    return found


def _claim(found: Findings, words: str) -> Claim:
    (claim,) = [each for each in found.claims if words in each.paper]
    return claim


def _kind(part: str) -> str:
    return part.partition("@")[0]


OPERATORS = {"conv": 9.0, "dwconv": 0.8, "pconv": 1.0, "dwconv_pwconv": 2.1, "pconv_pwconv": 2.0}
MACS = {"conv": 9e8, "dwconv": 1e7, "pconv": 6e7, "dwconv_pwconv": 1.1e8, "pconv_pwconv": 1.6e8}


@pytest.mark.parametrize(
    ("wide", "verdict"), [(4.0, "holds"), (0.9, "does not hold"), (1.0, "undecided")]
)
def test_pconv_against_dwconv(wide, verdict) -> None:
    times = OPERATORS | {"widened": 3.0, "six_times": wide}
    found = _found(
        "pconv-vs-dwconv",
        lambda part: times[_kind(part)],
        costs=lambda part: cost(MACS.get(_kind(part), 3e8)),
        bias=0.01,
    )
    assert _claim(found, "as wide as networks need").verdict == verdict
    faster = _claim(found, "higher FLOPS")
    assert faster.verdict == "holds"
    assert "4.8" in faster.here  # 6e7 / 1.0 over 1e7 / 0.8
    assert _claim(found, "faster than Conv 3x3").verdict == "holds"
    alone = found.summary[0]
    assert "PConv reaches 60" in alone.replace("60.1", "60").replace("59.9", "60")
    assert "DWConv, which computes less, is the faster one" in alone


def test_one_size_refutes_a_claim_of_all_sizes() -> None:
    times = OPERATORS | {"widened": 4.0, "six_times": 6.0, "network": 5.0}
    slow = {"dwconv@768x7": 0.01}
    found = _found(
        "pconv-vs-dwconv",
        lambda part: slow.get(part, times[_kind(part)]),
        costs=lambda part: cost(MACS.get(_kind(part), 3e8)),
        quick=False,
    )
    assert _claim(found, "higher FLOPS").verdict == "does not hold"
    rows = {row.cells["compared"]: row.cells["ratio"] for row in found.tables[1].rows}
    assert rows["96x56"] > 1 > rows["768x7"]
    (beside,) = [table for table in found.tables if "beside" in table.title]
    arm = {row.cells["operator"]: row.cells["arm"] for row in beside.rows}
    assert arm["Conv 3x3, 96x56"] == pytest.approx(3.33, abs=0.01)
    assert arm["PConv + PWConv, 192x28"] is None


@pytest.mark.parametrize(
    ("merged", "verdict"), [(1.0, "holds"), (1.2, "does not hold"), (1.02, "undecided")]
)
def test_an_operator_in_lightnet(merged, verdict) -> None:
    times = {"identity": 1.0, "dwconv": 2.0, "pconv": 1.5, "rep_so": 2 * merged}
    found = _found("spatial-operator", times, bias=0.002)
    assert _claim(found, "RepSO").verdict == verdict
    assert _claim(found, "PConv").verdict == "holds"
    assert any("With DWConv, LightNet takes 2" in sentence for sentence in found.summary)


@pytest.mark.parametrize(
    ("machine", "compute", "published", "words"),
    [
        ("x86_64", "cpu", 12.2 / 9.2, "on a CPU"),
        ("aarch64", "cpu", 442 / 143, "on ARM"),
        ("arm64", "gpu", 6807 / 4198, "on a GPU"),
    ],
)
def test_fasternet_is_put_to_the_figures_of_its_kind_of_device(
    machine, compute, published, words
) -> None:
    name = "fasternet-claims"
    for times, verdict in ((1.1, "holds"), (0.9, "does not hold"), (1.0, "undecided")):
        results = made(
            name,
            {"fasternet_t0": 1.0, "mobilenet_v2": published * times},
            bias=0.02,
            compute=compute,
        )
        identity = DEVICE.model_copy(update={"machine": machine})
        of_device = results[0].session.model_copy(update={"device": identity})
        found = findings_of([replace(each, session=of_device) for each in results])
        assert found is not None
        claim = _claim(found, "as fast as MobileNetV2 ")
        assert words in claim.paper
        assert claim.verdict == verdict


@pytest.mark.parametrize(
    ("read", "verdict"),
    [
        (lambda c: c.activations, "holds"),
        (lambda c: c.macs, "does not hold"),
    ],
)
def test_what_predicts_the_latency(read, verdict) -> None:
    def costs(part: str) -> Cost:
        # Counts that have nothing to do with one another.
        number = sum(part.encode()) * 2654435761 % 2**32
        return cost(
            10**6 * (1 + number % 1013),
            params=10**4 * (1 + number % 997),
            activations=10**4 * (1 + number % 887),
        )

    found = _found(
        "activations-predict-latency",
        lambda part: read(costs(part)) / 1e6,
        costs=costs,
        quick=False,
    )
    assert _claim(found, "correlates more").verdict == verdict
    rows = {row.cells["predictor"]: row.cells for row in found.tables[0].rows}
    best = "activations" if verdict == "holds" else "MACs"
    assert rows[best]["pearson"] == pytest.approx(1, abs=0.01)
    assert rows[best]["spearman"] == pytest.approx(1, abs=0.01)
    assert "traffic, as lowered" not in rows


SCALED = {"d": 3.0, "r": 3.0, "w1_g1": 1.0, "d1_w1_g1_r1": 2.0, "dWr": 1.05, "a0": 3.0}


@pytest.mark.parametrize(
    ("dwr", "verdict"), [(1.2, "does not hold"), (1.05, "holds"), (1.1, "undecided")]
)
def test_scaling_strategies(dwr, verdict) -> None:
    times = SCALED | {"dWr": dwr}
    found = _found(
        "scaling-strategies",
        lambda part: times.get(part.partition("@")[2], 1.5),
        bias=0.01,
        quick=False,
    )
    assert _claim(found, "dWr is faster than dwr").verdict == "holds"
    assert _claim(found, "nearly as fast as w").verdict == verdict
    assert _claim(found, "alpha = 1").verdict == "holds"
    assert len(found.tables) == 3


def test_times_of_scaled_networks_are_compared_for_each_mac() -> None:
    def costs(part: str) -> Cost:
        return cost(2e9 if part.endswith("@d1_w1_g1_r1") else 1e9)

    # Twice the time for twice the MACs is no slower.
    times = SCALED | {"dWr": 1.0, "d1_w1_g1_r1": 2.0}
    found = _found(
        "scaling-strategies",
        lambda part: times[part.partition("@")[2]],
        costs=costs,
        bias=0.01,
    )
    assert _claim(found, "dWr is faster than dwr").verdict == "undecided"


def test_the_quick_size_of_scaling_has_no_alpha_of_zero() -> None:
    found = _found("scaling-strategies", lambda part: SCALED[part.partition("@")[2]])
    assert _claim(found, "alpha = 1").verdict == "undecided"


@pytest.mark.parametrize(("params", "verdict"), [(10**6, "holds"), (10**8, "does not hold")])
def test_scaled_against_searched(params, verdict) -> None:
    found = _found(
        "scaled-vs-searched",
        {"b4": 3.0, "y_16gf": 2.0, "b0_scaled": 4.0, "y_searched": 1.0, "y_scaled": 1.0},
        costs=lambda part: cost(params=params if "searched" in part else 10**7),
    )
    assert _claim(found, "to 16 GF").verdict == "holds"
    assert _claim(found, "scaled by dWr").verdict == "does not hold"
    assert _claim(found, "fewer parameters").verdict == verdict


def test_fusing_pays_or_does_not() -> None:
    times = {
        "fused@vanillanet": 1.0,
        "training@vanillanet": 1.3,
        "fused@rep_so": 1.0,
        "training@rep_so": 0.8,
    }
    memory = {"fused@vanillanet": 100, "training@vanillanet": 150}
    found = _found("fusion-pays", times, memory=memory)
    assert _claim(found, "VanillaNet").verdict == "holds"
    assert _claim(found, "RepSO and RefCO").verdict == "does not hold"
    (table,) = [table for table in found.tables if table.title.startswith("Training form")]
    (row,) = [r for r in table.rows if "VanillaNet" in str(r.cells["compared"])]
    assert row.cells["peak memory, times"] == 1.5


def _het(part: str) -> float:
    return {"conv": 9.0, "dwc": 1.5}.get(_kind(part)) or (
        9.1 if part.startswith("dense") else 2.0 if part.startswith("gwc") else 3.0
    )


def test_hetconv_adds_kernels_in_the_form_that_saves() -> None:
    found = _found(
        "hetconv-p",
        lambda part: _het(part) / (2 if part.startswith("grouped4") else 1),
        kernels=lambda part: 6 if part.startswith("grouped") else 2,
    )
    counted = _claim(found, "counted")
    assert counted.verdict == "does not hold"
    assert "grouped at 16x14: 3, Conv 3x3: 1" in counted.here  # of two layers
    assert _claim(found, "dense convolution").verdict == "holds"
    assert _claim(found, "a grouped and a pointwise").verdict == "holds"
    assert _claim(found, "as many FLOPs").verdict == "does not hold"
    assert _claim(found, "larger P").verdict == "holds"
    assert "HetConv of P = 4 takes 0.16" in found.summary[1]
    assert "as grouped" in found.summary[1]


def test_kernels_are_counted_a_layer() -> None:
    found = measured("hetconv-p", _het, kernels=lambda _part: 60, quick=False)
    assert kernels(found, "grouped2@64x56") == 6
    assert kernels(measured("hetconv-p", _het, kernels=lambda _part: 0), "conv@16x14") is None
    same = _found("hetconv-p", _het, kernels=lambda _part: 2)
    assert _claim(same, "counted").verdict == "holds"
    unknown = _found("hetconv-p", _het, kernels=lambda _part: 0)
    assert _claim(unknown, "counted").verdict == "undecided"


@pytest.mark.parametrize(
    ("plain", "share", "less"),
    [(9.9, "1", "holds"), (6.0, "40", "holds"), (3.0, "70", "does not hold")],
)
def test_the_series_activation_by_macs_and_by_time(plain, share, less) -> None:
    times = {"n0": plain, "n3": 10.0, "before_act": 12.0, "after_act": 10.0}
    found = _found(
        "series-activation",
        times,
        costs=lambda part: cost(9.5e8 if part == "n0" else 1e9),
        memory={"n3": 100, "before_act": 130, "after_act": 100},
        bias=0.001,
    )
    assert _claim(found, "far less").verdict == less
    by_flops = "holds" if plain == 9.9 else "does not hold"
    assert _claim(found, "no larger than theirs").verdict == by_flops
    assert "5 % of the MACs" in found.summary[0]
    value = float(found.summary[0].split(" and ")[1].split()[0])
    assert value == pytest.approx(float(share), abs=0.6)
    assert "1.3 times the peak memory" in found.summary[1]
    assert _claim(found, "shortcut").verdict in ("undecided", "does not hold")


@pytest.mark.parametrize(
    ("deep", "verdict"), [(1.5, "holds"), (0.7, "does not hold"), (1.0, "undecided")]
)
def test_depth_against_width(deep, verdict) -> None:
    found = _found("depth-vs-width", {"same@6": 1.0, "same@13": deep}, bias=0.02)
    assert _claim(found, "Depth").verdict == verdict
    assert not any("ResNet" in claim.paper for claim in found.claims)
    whole = _found(
        "depth-vs-width",
        lambda part: 30.0 if part == "resnet50" else 10.0,
        quick=False,
    )
    assert _claim(whole, "ResNet-50").verdict == "holds"
    assert _claim(whole, "Depth").verdict in ("undecided", "does not hold", "holds")
    assert whole.tables[2].rows


@pytest.mark.nightly
@pytest.mark.parametrize("name", ["scaling-strategies", "scaled-vs-searched", "depth-vs-width"])
def test_networks_that_are_compared_have_the_same_macs(name) -> None:
    from lightmobile.models import complexity

    counted = {part: complexity(model, fused=True).macs for part, model in named(name).full.items()}
    if name == "scaling-strategies":
        # Whole widths and groups of RegNetZ leave its w strategy a tenth above.
        assert all(0.9 < macs / 4e9 < 1.11 for macs in counted.values())
    elif name == "depth-vs-width":
        same = [macs for part, macs in counted.items() if part.startswith("same@")]
        assert max(same) < 1.02 * min(same)
    else:
        for scaled, searched in (
            ("y_scaled", "y_searched"),
            ("y_scaled_600", "y_searched"),
            ("z_scaled", "z_searched"),
            ("b0_scaled", "b4"),
        ):
            assert counted[scaled] == pytest.approx(counted[searched], rel=0.011)
        assert counted["y_16gf"] > 3.5 * counted["b4"]
