"""Ceilings, and what they bound, worked out by hand."""

import pytest

from lightmobile.device_bench.roofline.bounds import bound_of
from lightmobile.device_bench.roofline.ceilings import ceilings_of, conditions_of
from lightmobile.device_bench.roofline.operator_study import above_the_roof, operator_findings
from lightmobile.device_bench.roofline.operators import (
    OPERATORS,
    PAPER_SIZES,
    operator_name,
    operator_names,
    paper_figures,
    title_of,
)
from lightmobile.device_bench.roofline.probes import PROBES
from lightmobile.errors import UsageError
from lightmobile.models import model_info
from tests.roofline.store import Measured, results

COMPUTE, SLOWER, *_ = [probe.model for probe in PROBES if probe.resource == "compute"]
SMALL, LARGE, *_ = [probe.model for probe in PROBES if probe.resource == "stream"]
READ, *_ = [probe.model for probe in PROBES if probe.resource == "read"]
CEILINGS = (
    Measured(COMPUTE, macs=1_000_000, activation_bytes=10, micros=(100.0,) * 4),  # 10 GMAC/s
    Measured(SLOWER, macs=500_000, activation_bytes=10, micros=(100.0,) * 4),  # 5 GMAC/s
    Measured(SMALL, activation_bytes=40_000, working_set_bytes=1_000, micros=(1.0,) * 4),  # 40 GB/s
    Measured(LARGE, activation_bytes=1_000_000, working_set_bytes=100_000, micros=(100.0,) * 4),
    Measured(READ, macs=1, weight_bytes=2_000_000, micros=(100.0,) * 4),  # 2 MB at 20 GB/s
)
PCONV, DWCONV = (operator_name(each, (96, 56), 10) for each in ("pconv", "dwconv"))


def ceilings(measured):
    (found,) = ceilings_of(measured).values()
    return found


def test_the_roofs_are_the_best_that_was_reached():
    found = ceilings(results(*CEILINGS))
    assert found.macs_per_second == pytest.approx(10e9)
    assert [(level.bytes, level.resource) for level in found.levels] == [
        (1_000, "stream"),
        (100_000, "stream"),
        (2_000_000, "read"),
    ]
    assert found.level(500).per_second == pytest.approx(40e9)
    assert found.level(50_000).per_second == pytest.approx(40e9)  # where the cache ends is unknown
    assert found.level(100_000).per_second == pytest.approx(20e9)  # the read probe's is larger
    assert found.level(10**9).per_second == pytest.approx(20e9)


@pytest.mark.parametrize(
    ("measured", "binds", "micros"),
    [
        (Measured(PCONV, macs=2_000_000, activation_bytes=1_000), "compute", 200),
        # 4 MB of activations beyond every cache, at 20 GB/s.
        (Measured(PCONV, macs=100_000, activation_bytes=4_000_000), "memory", 200),
        # Activations in the cache at 40 GB/s, weights beyond at 20.
        (
            Measured(
                PCONV, activation_bytes=4_000_000, working_set_bytes=900, weight_bytes=2_000_000
            ),
            "memory",
            100 + 100,
        ),
    ],
)
def test_a_bound_is_the_longer_of_arithmetic_and_traffic(measured, binds, micros):
    *_, result = every = results(*CEILINGS, measured)
    bound = bound_of(result, ceilings(every))
    assert bound.binds == binds
    assert bound.seconds == pytest.approx(micros / 1e6)
    assert bound.share == pytest.approx(micros / 100)
    assert result.id not in bound.results
    assert len(bound.results) >= 2


def test_a_share_is_taken_round_by_round():
    # The machine is twice as slow in every second round: the share is the same in all.
    drift = (1.0, 2.0, 1.0, 2.0)
    probes = [
        Measured(
            **vars(each) | {"micros": tuple(m * d for m, d in zip(each.micros, drift, strict=True))}
        )
        for each in CEILINGS
    ]
    operator = Measured(
        PCONV, macs=500_000, activation_bytes=8, micros=tuple(100 * d for d in drift)
    )
    *_, result = every = results(*probes, operator)
    bound = bound_of(result, ceilings(every))
    assert bound.share == pytest.approx(0.5)
    assert bound.share_ci95.low == pytest.approx(0.5)
    assert bound.share_ci95.high == pytest.approx(0.5)


def test_an_operator_above_its_roof_is_told():
    slow = Measured(PCONV, macs=900_000, activation_bytes=8)
    fast = Measured(DWCONV, macs=1_200_000, activation_bytes=8)
    # Above it only in some rounds: no more than the interval.
    now_and_then = Measured(
        operator_name("conv", (96, 56), 10),
        macs=1_050_000,
        activation_bytes=8,
        micros=(90.0, 120.0, 100.0, 110.0),
    )
    assert above_the_roof(results(*CEILINGS, slow, now_and_then)) == []
    (told,) = above_the_roof(results(*CEILINGS, slow, fast, now_and_then))
    assert told.startswith(DWCONV)
    assert "1.20" in told


def test_pconv_and_dwconv_are_compared_in_words_and_figures():
    pconv = Measured(PCONV, macs=600_000, activation_bytes=8, micros=(200.0,) * 4)
    dwconv = Measured(DWCONV, macs=100_000, activation_bytes=8, micros=(100.0,) * 4)
    findings = operator_findings(results(*CEILINGS, pconv, dwconv))
    operators, versus = findings.tables
    assert [row.cells["operator"] for row in operators.rows] == ["PConv 3x3", "DWConv 3x3"]
    first = operators.rows[0].cells
    assert first["gflops"] == pytest.approx(3.0)
    assert first["size"] == "96x56x56"
    assert first["intensity"] == pytest.approx(600_000 / 8)
    assert first["lowered_intensity"] == pytest.approx(600_000 / 16)
    assert operators.rows[0].results[0] == "r5"
    (row,) = versus.rows
    assert row.cells["flops_ratio"] == pytest.approx(3.0)
    assert row.cells["time_ratio"] == pytest.approx(2.0)
    assert row.results == ("r5", "r6")
    assert findings.summary[0] == (
        "96x56x56, executorch fp32, 1 thread(s): PConv does 3 [3, 3] times the FLOPS of DWConv at "
        "equal width, and takes 2 [2, 2] times its time: DWConv is faster."
    )
    roofline, bandwidth = findings.charts
    assert roofline.x_log
    assert {series.kind for series in roofline.series} == {"line", "points"}
    assert all(point.results for series in roofline.series for point in series.points)
    assert {point.results for series in bandwidth.series for point in series.points} == {
        ("r2",),
        ("r3",),
        ("r4",),
    }


def test_an_emulators_times_are_no_findings():
    findings = operator_findings(results(*CEILINGS, Measured(PCONV, macs=9), emulated=True))
    assert findings.emulated
    assert findings.charts == ()
    assert findings.summary == ()
    (table,) = findings.tables
    assert table.rows[0].cells.keys().isdisjoint({"latency_ms", "gflops", "share"})
    assert above_the_roof(results(*CEILINGS, Measured(PCONV, macs=10**9), emulated=True)) == []


def test_without_probes_there_is_no_roof():
    findings = operator_findings(results(Measured(PCONV, macs=9, activation_bytes=9)))
    assert findings.charts == ()
    assert "share" not in findings.tables[0].rows[0].cells


@pytest.mark.parametrize("probe", PROBES)
def test_every_probe_is_a_model(probe):
    assert model_info(probe.model).name == probe.model


def test_the_names_are_models_of_all_sizes():
    names = operator_names(tuple(OPERATORS), PAPER_SIZES, 10)
    assert len(names) == len(set(names)) == 4 * len(OPERATORS)
    assert all(model_info(name).family for name in names)
    with pytest.raises(UsageError, match="pconw"):
        operator_names(["pconw"], PAPER_SIZES, 10)


def test_the_paper_speaks_of_its_own_operators_only():
    assert paper_figures(operator_name("conv", (96, 56), 10))["arm_ms"] == 780
    assert "arm_ms" not in paper_figures(operator_name("pconv_pwconv", (192, 28), 10))
    assert paper_figures(operator_name("conv", (96, 56), 9)) == {}
    assert paper_figures(operator_name("pconv_pwconv_t", (96, 56), 10)) == {}
    assert title_of(operator_name("pconv_pwconv_t", (96, 56), 10)) == "PConv + PWConv, T-shaped"
    assert title_of("op:gconv,groups=4") == "GConv 3x3, groups=4"


def test_conditions_keep_ceilings_apart():
    (fp32, *_), (fp16, *_) = (
        results(*CEILINGS, precision=precision) for precision in ("fp32", "fp16")
    )
    assert conditions_of(fp32) != conditions_of(fp16)
