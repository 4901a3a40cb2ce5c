"""The passes beside the latency, and a device that is lost on the way."""

from __future__ import annotations

import os
import signal
from itertools import pairwise
from pathlib import Path

import pytest

from lightmobile.device_bench import Store, bench
from lightmobile.device_bench.devices.host import HostDevice
from lightmobile.device_bench.passes import sustain
from lightmobile.device_bench.plan import Wishes, plan
from lightmobile.device_bench.results import results
from lightmobile.device_bench.schema import DeviceIdentity, End, Minute, Reading, Slice
from lightmobile.device_bench.session import RunnerSession
from lightmobile.device_bench.workbench import Workbench
from lightmobile.errors import DeviceError, VerificationError
from lightmobile.export import export
from tests.export.tiny import OVERRIDES, SIZE


class Board(HostDevice):
    """This machine, as if it were another."""

    def identity(self) -> DeviceIdentity:
        return super().identity().model_copy(update={"kind": "board"})


class Swapping(Board):
    """A board that runs another file than the one it is given."""

    def __init__(self, other: Path) -> None:
        self.other = other

    def place(self, file: Path) -> str:
        return str(self.other if file.suffix == self.other.suffix else file)


class Loose(Board):
    """A board whose cable lets go as the condition is read for the `at`-th time."""

    def __init__(self, at: int, *, returns: bool = True) -> None:
        self.left, self.returns, self.lost = at, returns, False
        self.sessions: list[RunnerSession] = []

    def start(self, runtime: str) -> RunnerSession:
        session = super().start(runtime)
        self.sessions.append(session)
        return session

    def condition(self):
        self.left -= 1
        if self.left == 0:
            self.lost = True
            for session in self.sessions[-2:]:
                os.kill(session.pid, signal.SIGKILL)
        return super().condition()

    @property
    def is_lost(self) -> bool:
        return self.lost

    def reconnect(self) -> None:
        if not self.returns:
            super().reconnect()
        self.lost = False


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store.jsonl")


@pytest.fixture(scope="module")
def fasternets(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two tiny networks of other weights, as TFLite files that can be made again."""
    return [
        export(
            "fasternet_t0",
            targets=("tflite",),
            overrides=OVERRIDES,
            input_size=SIZE,
            seed=seed,
            output_dir=tmp_path_factory.mktemp(f"seed{seed}"),
        )[0].path
        for seed in (70, 71)  # of no other test, which would find them in the cache
    ]


@pytest.mark.slow
def test_outputs_are_pytorchs_and_the_hosts(fasternets: list[Path], store: Store) -> None:
    report = bench(fasternets[0], device=Board(), rounds=1, numerics=True, store=store)
    report.check_numerics()
    pytorch, host = report.to_dict()["results"][0]["numerics"]
    assert (pytorch["against"], host["against"]) == ("pytorch", "host")
    assert 0 < pytorch["rel_l2"] < 1e-5
    assert host["rel_l2"] == 0
    assert pytorch["passed"]
    assert host["passed"]
    assert [each.to_dict() for each in results(store)] == report.to_dict()["results"]


@pytest.mark.slow
def test_another_files_outputs_are_noticed(fasternets: list[Path], store: Store) -> None:
    device = Swapping(fasternets[1])
    report = bench(fasternets[0], device=device, rounds=1, numerics=True, store=store)
    assert [each.passed for each in report.results[0].numerics] == [False, False]
    with pytest.raises(VerificationError, match=r"against pytorch; .*against host"):
        report.check_numerics()


def test_a_model_that_cannot_be_made_again_is_said(
    artifacts: dict[str, Path], store: Store
) -> None:
    (result,) = bench(artifacts["tflite"], rounds=1, numerics=True, store=store).results
    assert result.numerics == ()
    (failure,) = result.failures
    assert failure.stage == "numerics"
    assert "tiny" in failure.error


def test_a_load_without_a_break_keeps_every_minute(
    artifacts: dict[str, Path], store: Store, tmp_path: Path
) -> None:
    wishes = Wishes("cpu", None, None, 2, (1,))
    with Board() as board:
        planned = plan([artifacts["tflite"]], board, wishes, tmp_path, lambda *_: None)
        bench_ = Workbench(planned, board, store, "s", tmp_path, seed=0, progress=lambda *_: None)
        sustain(bench_, bench_.members[0], 3, minute_s=0.5)
    minutes = [line for line in store.read() if isinstance(line, Minute)]
    assert [line.minute for line in minutes] == [0, 1, 2]
    for line in minutes:
        assert sum(line.samples_ns) > 0.1e9
    gaps = [b.started - a.started for a, b in pairwise(minutes)]
    assert all(0.4 < gap.total_seconds() < 5 for gap in gaps)


@pytest.mark.nightly
def test_a_minute_is_one(artifacts: dict[str, Path], store: Store) -> None:
    report = bench(artifacts["tflite"], rounds=1, sustained_minutes=1, store=store)
    (minute,) = report.to_dict()["results"][0]["sustained"]
    assert minute["minute"] == 0
    assert minute["p95_ms"] >= minute["median_ms"] > 0
    (line,) = report.results[0].minutes
    assert 20e9 < sum(line.samples_ns) < 61e9


def test_numbers_of_threads_are_compared(artifacts: dict[str, Path], store: Store) -> None:
    report = bench(list(artifacts.values()), threads=(1, 2, 1), rounds=1, store=store)
    found = [(each.configuration.runtime, each.configuration.threads) for each in report.results]
    assert found == [("executorch", 1), ("executorch", 2), ("tflite", 1), ("tflite", 2)]


def test_the_condition_is_kept_around_every_round(artifacts: dict[str, Path], store: Store) -> None:
    bench(artifacts["tflite"], rounds=5, store=store)
    readings = [(line.round, line.when) for line in store.read() if isinstance(line, Reading)]
    assert readings == [(n, when) for n in range(5) for when in ("before", "after")]


def test_a_lost_device_is_waited_for(artifacts: dict[str, Path], store: Store) -> None:
    # The session's own condition is the first; then come two for each round.
    device = Loose(at=8)
    report = bench(list(artifacts.values()), device=device, rounds=8, store=store)
    assert report.skipped == ()
    for result in report.results:
        assert [each.round for each in result.slices] == [0, 1, 2, 4, 5, 6, 7]
        assert result.stopped == "rounds"
        assert result.failures == ()
        assert len({each.output_sha256 for each in result.processes}) == 1


def test_what_a_device_that_stays_away_measured_is_kept(
    artifacts: dict[str, Path], store: Store
) -> None:
    device = Loose(at=8, returns=False)
    with pytest.raises(DeviceError, match="The device was lost"):
        bench(list(artifacts.values()), device=device, rounds=8, store=store)
    lines = store.read()
    assert len([line for line in lines if isinstance(line, Slice)]) == 2 * 3
    assert [line.stopped for line in lines if isinstance(line, End)] == ["interrupted"] * 2
    assert len(results(store)) == 2
