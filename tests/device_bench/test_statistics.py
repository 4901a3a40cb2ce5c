from __future__ import annotations

import numpy as np
import pytest

from lightmobile.device_bench.results import Result, results_of
from lightmobile.device_bench.schema import Slice
from lightmobile.device_bench.statistics import Interval, is_narrow, latency, paired_ratio
from lightmobile.errors import ComparisonError
from tests.device_bench.lines import configuration, session, slice_


def _measured(
    seed: int,
    *,
    scale: float = 1.0,
    processes: int = 10,
    slices: int = 4,
    samples: int = 20,
    process_bias: float = 0.0,
    slice_bias: float = 0.0,
    drift: float = 0.0,
    result: str = "r",
) -> list[Slice]:
    """Slices of a made-up device: 1 ms, with the biases given as standard deviations."""
    random = np.random.default_rng(seed)
    made = []
    for process in range(processes):
        process_level = 1 + process_bias * random.standard_normal()
        for _ in range(slices):
            moment = 1 + drift * len(made)
            level = scale * moment * process_level * (1 + slice_bias * random.standard_normal())
            noise = 1 + 0.01 * random.standard_normal(samples)
            made.append(
                slice_(
                    len(made),
                    np.maximum(1, 1e6 * level * noise).astype(int).tolist(),
                    process=process,
                    result=result,
                )
            )
    return made


def test_percentiles_are_over_all_samples() -> None:
    samples = list(range(1, 102))
    found = latency([slice_(0, samples[:30]), slice_(1, samples[30:])])
    assert (found.p5, found.median, found.p90, found.p95) == (6, 51, 91, 96)


def test_one_slice_alone_has_no_interval() -> None:
    found = latency([slice_(0, range(1, 1000))])
    assert found.ci95 == Interval(None, None)
    assert found.ci95.width == float("inf")
    assert not is_narrow([slice_(0, [5] * 1000)], 100)


def test_the_same_seed_gives_the_same_interval() -> None:
    slices = _measured(1)
    assert latency(slices, seed=3) == latency(slices, seed=3)
    assert latency(slices, seed=3).ci95 != latency(slices, seed=4).ci95


@pytest.mark.parametrize("samples", [1, 2, 7, 2000])
def test_the_fast_bootstrap_equals_gathering_every_resample(samples: int) -> None:
    # The definition, slowly: concatenate the drawn blocks, take the median of what they hold.
    from lightmobile.device_bench.statistics import _draws, _weighted_medians

    slices = _measured(5, processes=3, slices=3, samples=samples, process_bias=0.01)
    blocks = [np.asarray(part.samples_ns, dtype=float) for part in slices]
    draws = _draws([part.process for part in slices], seed=0)
    slow = [
        np.median(np.concatenate([np.repeat(b, n) for b, n in zip(blocks, row, strict=True)]))
        for row in draws[:50]
    ]
    fast = _weighted_medians(blocks, draws[:50])
    assert np.allclose(fast, slow, rtol=0 if len(blocks) * samples <= 1000 else 2e-4)


def test_every_process_is_drawn_with_its_own_slices() -> None:
    from lightmobile.device_bench.statistics import _draws

    draws = _draws(["a", "a", "a", "b", "b", "c"], seed=0)
    times = np.stack([draws[:, :3].sum(1) / 3, draws[:, 3:5].sum(1) / 2, draws[:, 5]])
    assert np.array_equal(times, times.astype(int)), "a process is drawn whole"
    assert np.array_equal(times.sum(0), np.full(len(draws), 3))


def test_the_interval_covers_what_it_says_though_samples_of_a_slice_are_alike() -> None:
    covered = naive = 0
    for seed in range(60):
        # Processes differ by 1 %.
        slices = _measured(seed, process_bias=0.01, slice_bias=0.003)
        interval = latency(slices).ci95
        assert interval.low is not None
        assert interval.high is not None
        covered += interval.low <= 1e6 <= interval.high

        samples = [sample for part in slices for sample in part.samples_ns]
        single = np.random.default_rng(seed).choice(samples, size=(200, len(samples)))
        low, high = np.percentile(np.median(single, axis=1), (2.5, 97.5))
        naive += low <= 1e6 <= high
    assert covered >= 50
    assert naive <= 30, "samples taken as independent promise what they do not keep"


def test_measuring_stops_once_the_interval_is_narrow() -> None:
    slices = _measured(2, processes=6, slice_bias=0.01)
    width = latency(slices).ci95.width / latency(slices).median * 100
    assert is_narrow(slices, width * 1.01)
    assert not is_narrow(slices, width * 0.99)
    assert latency(slices * 16).ci95.width < latency(slices).ci95.width


def _pair(first: list[Slice], second: list[Slice], **changes: bool) -> tuple[Result, Result]:
    plan = configuration("a"), configuration("b", **changes)
    a, b = results_of([session(*plan), *first, *second])
    return a, b


def test_a_ratio_holds_while_the_device_drifts() -> None:
    # The device slows by 80 % in the session, both results alike; their latencies are useless.
    first = _measured(1, scale=0.9, drift=0.02, result="a")
    second = _measured(2, drift=0.02, result="b")
    ratio = paired_ratio(*_pair(first, second))
    assert ratio.rounds == 40
    assert ratio.median == pytest.approx(0.9, rel=0.005)
    assert ratio.ci95.low is not None
    assert ratio.ci95.high is not None
    assert 0.89 < ratio.ci95.low < 0.9 < ratio.ci95.high < 0.91
    assert latency(first).ci95.width > 0.1e6


def test_a_ratio_uses_the_rounds_that_both_have() -> None:
    first, second = _measured(1, result="a"), _measured(2, result="b")
    a, b = _pair(first, second[:7])
    assert paired_ratio(a, b).rounds == 7
    assert paired_ratio(a, a).median == 1.0


def test_results_of_two_sessions_are_not_compared() -> None:
    (one,) = results_of([session(), slice_(0)])
    (other,) = results_of([session(id="t"), slice_(0, session="t")])
    with pytest.raises(ComparisonError, match="different sessions"):
        paired_ratio(one, other)


def test_an_emulated_result_is_not_compared() -> None:
    a, b = _pair(_measured(1, result="a"), _measured(2, result="b"), emulated=True)
    for pair in ((a, b), (b, a)):
        with pytest.raises(ComparisonError, match="was emulated"):
            paired_ratio(*pair)


def test_results_without_a_common_round_are_not_compared() -> None:
    a, b = _pair(_measured(1, result="a")[:3], _measured(2, result="b")[3:])
    with pytest.raises(ComparisonError, match="no round in common"):
        paired_ratio(a, b)
