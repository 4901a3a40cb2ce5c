"""Many configurations: measured in sweeps, by processes that load one artifact after another."""

from __future__ import annotations

from pathlib import Path

import pytest

from lightmobile.device_bench import Store, bench
from lightmobile.device_bench.benchmark import MOST_LIVE
from lightmobile.device_bench.schema import Failure
from lightmobile.device_bench.statistics import paired_figure, paired_ratio
from tests.device_bench.artifacts import write_manifest


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store.jsonl")


def test_each_sweep_measures_all_in_new_processes(artifacts: dict[str, Path], store: Store) -> None:
    paths = [artifacts["tflite"], artifacts["executorch"]] * (MOST_LIVE // 2 + 1)
    told: list[tuple[str, str]] = []
    report = bench(
        paths,
        rounds=2,
        memory=False,
        store=store,
        study="ours",
        quick=True,
        progress=lambda *words: told.append(words),
    )
    assert len(report.results) == len(paths) > MOST_LIVE
    for result in report.results:
        assert [part.round for part in result.slices] == [0, 1]
        assert [each.process for each in result.processes] == [0, 1]
        assert len({each.output_sha256 for each in result.processes}) == 1
        assert result.memory is None
        assert result.stopped == "rounds"
        assert (result.session.study, result.session.quick) == ("ours", True)
    first, second, third, *_ = report.results
    assert paired_ratio(first, third).rounds == 2
    sums = paired_figure((first, second, third), lambda a, b, c: (a + b) / c)
    assert sums.rounds == 2
    assert sums.median > 0
    assert ("latency", "done") in told


def test_a_file_that_is_broken_takes_no_other_with_it(
    artifacts: dict[str, Path], store: Store, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.tflite"
    bad.write_bytes(b"nothing")
    write_manifest(bad, "tflite", "tflite")
    paths = [artifacts["tflite"], bad, *[artifacts["tflite"]] * MOST_LIVE]
    report = bench(paths, rounds=2, memory=False, store=store)
    assert len(report.results) == MOST_LIVE + 1
    assert [len(result.slices) for result in report.results] == [2] * (MOST_LIVE + 1)
    (skipped,) = report.skipped
    assert skipped.reason.startswith("load:")
    assert len([line for line in store.read() if isinstance(line, Failure)]) == 1


def test_precisions_and_batches_are_compared_in_one_session(store: Store) -> None:
    name = "op:pwconv,channels=4,size=4,layers=1"
    report = bench(
        name, runtimes=("tflite",), precision=("fp32", "int8"), rounds=1, memory=False, store=store
    )
    assert [each.configuration.precision for each in report.results] == ["fp32", "int8"]
    assert len({each.session.id for each in report.results}) == 1
    facts = [each.configuration.facts for each in report.results]
    costs = [each.cost for each in facts if each is not None]
    assert [cost.macs for cost in costs if cost] == [4 * 4 * 4 * 4] * 2
    assert [cost.weight_bytes for cost in costs if cost] == [4 * 16, 16]
    for each in facts:
        assert each is not None
        assert each.placement is not None
        assert each.placement.delegated > 0
        assert each.proof is not None
        assert each.proof.sqnr_db is not None
        assert each.proof.sqnr_db > 30
