from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from lightmobile.device_bench.studies.claims import decide
from lightmobile.device_bench.studies.correlation import difference, pearson, spearman
from lightmobile.device_bench.studies.estimate import Estimate, all_of, written


@pytest.mark.parametrize(
    ("low", "high", "above"),
    [
        (1.1, 1.3, "holds"),
        (0.8, 0.9, "does not hold"),
        (0.9, 1.1, "undecided"),
        (1.0, 1.1, "undecided"),
        (0.9, 1.0, "undecided"),
        (None, None, "undecided"),
    ],
)
def test_an_interval_that_holds_the_border_decides_nothing(low, high, above) -> None:
    estimate = Estimate(1.2, low, high)
    opposite = {"holds": "does not hold", "does not hold": "holds", "undecided": "undecided"}
    assert estimate.above(1) == above
    assert estimate.below(1) == opposite[above]


def test_an_interval_of_too_few_rounds_is_shown_and_decides_nothing() -> None:
    shown = Estimate(2.0, 1.9, 2.1, decisive=False)
    assert shown.above(1) == shown.below(1) == "undecided"
    assert shown.through(lambda x: 2 * x) == Estimate(4.0, 3.8, 4.2, decisive=False)
    claim = decide("paper", "ratio", [("one", shown)], "above", 1)
    assert claim.verdict == "undecided"
    assert "2 (1.9 to 2.1)" in claim.here
    assert "Fewer than 4 rounds" in claim.here


def test_many_cases_need_wider_intervals() -> None:
    alone = Estimate(1.1, 1.02, 1.2)
    assert alone.among(1) == alone
    wide = alone.among(20)
    assert wide.low is not None
    assert wide.high is not None
    assert (1.1 - wide.low) / 0.08 == pytest.approx(3.023 / 1.96, abs=0.001)
    assert (wide.high - 1.1) / 0.1 == pytest.approx(3.023 / 1.96, abs=0.001)
    assert Estimate(1.0).among(20) == Estimate(1.0)
    cases = [(str(number), alone) for number in range(20)]
    assert decide("paper", "ratio", cases[:1], "above", 1).verdict == "holds"
    assert decide("paper", "ratio", cases, "above", 1).verdict == "undecided"


def test_twenty_equal_networks_do_not_refute_that_they_are_equal() -> None:
    random = np.random.default_rng(0)
    refuted = 0
    for _ in range(200):
        # Figures that are 1 but for noise, with intervals that are right.
        values = 1 + 0.02 * random.standard_normal(20)
        cases = [(str(v), Estimate(v, v - 0.0392, v + 0.0392)) for v in values]
        refuted += decide("paper", "ratio", cases, "below", 1).verdict == "does not hold"
    assert refuted <= 10


def test_a_falling_function_turns_the_interval_round() -> None:
    found = Estimate(2.0, 1.0, 4.0, ("a",)).through(lambda x: 1 / x)
    assert found == Estimate(0.5, 0.25, 1.0, ("a",))
    assert Estimate(2.0).through(lambda x: 1 / x) == Estimate(0.5)


@pytest.mark.parametrize(
    ("verdicts", "all_"),
    [
        (["holds", "holds"], "holds"),
        (["holds", "undecided"], "undecided"),
        (["holds", "undecided", "does not hold"], "does not hold"),
        ([], "undecided"),
    ],
)
def test_one_case_refutes_a_claim_of_all(verdicts, all_) -> None:
    assert all_of(verdicts) == all_


def test_figures_are_written_without_powers_of_ten() -> None:
    assert written(1234567.8) == "1,234,568"
    assert written(0.01234) == "0.0123"
    assert str(Estimate(1.5, 1.25, 2)) == "1.5 (1.25 to 2)"
    assert "unknown" in str(Estimate(1.5))


def test_a_claim_with_a_case_that_was_not_measured_cannot_hold() -> None:
    good, bad = Estimate(2, 1.9, 2.1, ("a", "b")), Estimate(0.5, 0.4, 0.6, ("b",))
    claim = decide("paper", "ratio", [("one", good), ("two", None)], "above", 1)
    assert claim.verdict == "undecided"
    assert "Not measured: two" in claim.here
    assert claim.results == ("a", "b")
    assert decide("paper", "ratio", [("one", good)], "above", 1).verdict == "holds"
    refuted = decide("paper", "ratio", [("one", good), ("two", bad), ("x", None)], "above", 1)
    assert refuted.verdict == "does not hold"
    assert refuted.results == ("a", "b")
    assert decide("paper", "ratio", [("one", None)], "above", 1).verdict == "undecided"
    assert decide("paper", "ratio", [], "above", 1).verdict == "undecided"
    assert decide("paper", "ratio", [("one", good)], "below", 1).verdict == "does not hold"


@pytest.mark.parametrize("count", [5, 40])
def test_correlations_are_those_of_scipy(count) -> None:
    random = np.random.default_rng(count)
    x = random.integers(0, 9, count).astype(float)  # with ties
    y = x + random.standard_normal(count)
    for ours, theirs in ((pearson, stats.pearsonr), (spearman, stats.spearmanr)):
        found = ours(x, y)
        assert found is not None
        assert found.value == pytest.approx(theirs(x, y).statistic)
        assert found.low is not None
        assert found.high is not None
        assert found.low < found.value < found.high <= 1 + 1e-9


def test_a_correlation_needs_something_that_varies() -> None:
    assert pearson([1, 1, 1, 1, 1, 1], [1, 2, 3, 4, 5, 6]) is None
    assert pearson([1], [1]) is None
    assert difference([1, 1], [1, 2], [1, 2]) is None
    assert pearson([1, 2, 3], [1, 2, 4]) == Estimate(pearson([1, 2, 3], [1, 2, 4]).value)  # type: ignore[union-attr]


def test_the_interval_of_a_correlation_covers_what_it_should() -> None:
    covered = 0
    for seed in range(100):
        random = np.random.default_rng(seed)
        x = random.standard_normal(40)
        y = 0.6 * x + 0.8 * random.standard_normal(40)
        found = pearson(x.tolist(), y.tolist())
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 0.6 <= found.high
    assert covered >= 86


def test_two_predictors_are_compared_on_the_same_resamples() -> None:
    random = np.random.default_rng(0)
    y = random.standard_normal(40)
    good, poor = y + 0.1 * random.standard_normal(40), random.standard_normal(40)
    assert difference(good, poor, y).above(0) == "holds"  # type: ignore[union-attr]
    assert difference(poor, good, y).above(0) == "does not hold"  # type: ignore[union-attr]
    assert difference(good, good, y) == Estimate(0.0, 0.0, 0.0)
