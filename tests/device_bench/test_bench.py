"""The whole bench, on tiny artifacts, and on runners that fail half-way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from lightmobile.device_bench import Store, bench
from lightmobile.device_bench.devices.host import HostDevice
from lightmobile.device_bench.results import results
from lightmobile.device_bench.schema import End, Failure, Process, Session, Slice
from lightmobile.device_bench.session import RunnerSession
from lightmobile.device_bench.statistics import paired_ratio
from lightmobile.errors import DeviceError, UsageError, VerificationError
from lightmobile.export.manifest import manifest_path
from tests.device_bench.artifacts import SHAPE, write_manifest

BAD = Path(__file__).with_name("bad_runner.py")
KEYS = (
    "id session model artifact runtime compute backend precision batch device threads cores clocks "
    "emulated hot latency_ms images_per_second load_ms first_ms peak_memory_bytes samples_ns"
)


class BadDevice(HostDevice):
    """This machine, with one runtime whose runner does wrong."""

    def __init__(self, runtime: str, how: str) -> None:
        self.runtime, self.how = runtime, how

    def start(self, runtime: str) -> RunnerSession:
        if runtime == self.runtime:
            return RunnerSession([sys.executable, str(BAD), self.how])
        return super().start(runtime)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store.jsonl")


@pytest.fixture
def pte(tmp_path: Path) -> Path:
    """A file that no runtime could load, but whose manifest is right."""
    path = tmp_path / "bad.pte"
    path.write_bytes(b"nothing")
    write_manifest(path, "executorch", "xnnpack")
    return path


def test_measures_side_by_side(artifacts: dict[str, Path], store: Store) -> None:
    told: list[tuple[str, str]] = []
    report = bench(
        [artifacts["tflite"], str(artifacts["executorch"])],
        threads=1,
        rounds=2,
        store=store,
        progress=lambda task, phase: told.append((task, phase)),
    )
    document = report.to_dict()
    assert json.loads(json.dumps(document)) == document
    assert [each["runtime"] for each in document["results"]] == ["tflite", "executorch"]
    assert document["skipped"] == []
    for each in document["results"]:
        assert " ".join(each) == KEYS
        assert each["batch"] == SHAPE[0]
        assert each["threads"] == 1
        assert each["device"] == "host"
        assert each["emulated"] is False
        low, high = each["latency_ms"]["ci95"]
        assert 0 < low <= each["latency_ms"]["median"] <= high
        assert each["images_per_second"] == pytest.approx(
            SHAPE[0] * 1000 / each["latency_ms"]["median"]
        )
        assert each["peak_memory_bytes"] > 0
    assert ("latency", "100%") in told
    assert ("memory", "done") in told
    assert [each.to_dict() for each in results(store)] == document["results"]


def test_the_same_artifact_twice_is_two_results(artifacts: dict[str, Path], store: Store) -> None:
    path = artifacts["tflite"]
    report = bench([path, path], rounds=9, store=store)
    first, second = report.results
    assert first.id != second.id
    assert paired_ratio(first, second).rounds == 9
    for result in report.results:
        assert result.stopped == "rounds"
        assert [part.round for part in result.slices] == list(range(9))
        # Restarted three times, and all processes compute the same.
        assert [process.process for process in result.processes] == [0, 1, 2, 3]
        assert len({process.output_sha256 for process in result.processes}) == 1
        assert result.failures == ()


def test_a_time_budget_is_kept(artifacts: dict[str, Path], store: Store) -> None:
    start = time.monotonic()
    (result,) = bench(artifacts["tflite"], time_budget=6, store=store).results
    assert result.stopped in ("time", "interval")
    assert len(result.processes) >= 4
    assert time.monotonic() - start < 60


@pytest.mark.slow
def test_profiles_where_it_can_and_says_where_not(artifacts: dict[str, Path], store: Store) -> None:
    report = bench(list(artifacts.values()), rounds=1, profile=True, store=store)
    executorch, tflite = report.results
    assert executorch.profile is not None
    shares = [operator["share"] for operator in executorch.to_dict()["operators"]]
    assert len(shares) == len(executorch.profile.rows) > 0
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1)
    assert tflite.profile is None
    assert "operators" not in tflite.to_dict()
    assert [failure.stage for failure in tflite.failures] == ["profile"]


@pytest.mark.parametrize("how", ["exits", "garbage", "fails", "too few"])
def test_a_failure_stays_with_its_configuration(
    artifacts: dict[str, Path], pte: Path, store: Store, how: str
) -> None:
    device = BadDevice("executorch", how)
    report = bench([pte, artifacts["tflite"]], device=device, rounds=1, store=store)
    assert [result.configuration.runtime for result in report.results] == ["tflite"]
    (skipped,) = report.skipped
    assert skipped.runtime == "executorch"
    assert skipped.reason.startswith("run: The runner")
    (failure,) = [line for line in store.read() if isinstance(line, Failure)]
    assert failure.error in skipped.reason


def test_a_process_that_computes_something_else_is_reported(pte: Path, store: Store) -> None:
    device = BadDevice("executorch", "other outputs")
    (result,) = bench(pte, device=device, rounds=4, threads=1, store=store).results
    assert len(result.processes) == 4
    assert {failure.stage for failure in result.failures} == {"outputs"}


def test_nothing_ran(pte: Path, store: Store) -> None:
    with pytest.raises(DeviceError, match=r"(?s)Nothing was measured.*the last words"):
        bench(pte, device=BadDevice("executorch", "exits"), rounds=1, store=store)
    assert results(store) == []


def test_core_ml_is_skipped_where_it_cannot_run(
    artifacts: dict[str, Path], tmp_path: Path, store: Store
) -> None:
    package = tmp_path / "tiny.mlpackage"
    package.mkdir()
    (package / "Manifest.json").write_text("{}")
    write_manifest(package, "coreml", "coreml")
    if sys.platform == "darwin":
        pytest.skip("this machine has Core ML")
    report = bench([package, artifacts["tflite"]], rounds=1, store=store)
    assert [each.to_dict() for each in report.skipped] == [
        {"model": "tiny", "runtime": "coreml", "compute": "cpu", "reason": "needs macOS"}
    ]
    (session,) = [line for line in store.read() if isinstance(line, Session)]
    assert [each.skipped for each in session.plan] == ["needs macOS", None]
    with pytest.raises(DeviceError, match="needs macOS"):
        bench(package, rounds=1, store=store)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"threads": 0}, "threads"),
        ({"threads": -2}, "threads"),
        ({"threads": 100_000}, "cores"),
        ({"rounds": 0}, "rounds"),
        ({"time_budget": 0}, "budget"),
        ({"time_budget": float("nan")}, "budget"),
        ({"device": "toaster"}, "toaster"),
        ({"compute": "tpu"}, "tpu"),
        ({"runtimes": ("coreml",)}, "runtime"),
        ({"precision": "fp16"}, "precision"),
        ({"batch": 7}, "batch"),
    ],
)
def test_bad_words(
    artifacts: dict[str, Path], store: Store, changes: dict[str, object], says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        bench(artifacts["tflite"], store=store, **changes)
    assert not store.path.exists()


def test_bad_files(artifacts: dict[str, Path], tmp_path: Path, store: Store) -> None:
    with pytest.raises(UsageError, match="manifest"):
        bench(tmp_path / "absent.pte", store=store)
    damaged = tmp_path / "tiny.tflite"
    damaged.write_bytes(artifacts["tflite"].read_bytes()[:-1] + b"!")
    manifest_path(damaged).write_bytes(manifest_path(artifacts["tflite"]).read_bytes())
    with pytest.raises(VerificationError, match="not the file"):
        bench(damaged, store=store)


@pytest.mark.slow
def test_a_name_is_exported_for_every_runtime(store: Store) -> None:
    report = bench("fasternet_t0,depths=1x1x1x1", rounds=1, batch=2, store=store)
    reached = [each.configuration.runtime for each in report.results]
    skipped = [each.runtime for each in report.skipped]
    assert reached + skipped == ["executorch", "tflite", "coreml"]
    assert {each.configuration.batch for each in report.results} == {2}
    assert skipped == ([] if sys.platform == "darwin" else ["coreml"])


def test_unknown_models_and_runtimes() -> None:
    with pytest.raises(UsageError, match="fasternet_t0"):
        bench("fasternet_t00")
    with pytest.raises(UsageError, match="executorch"):
        bench("fasternet_t0", runtimes=("executorhc",))


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
def test_ctrl_c_leaves_the_store_whole_and_no_process(
    artifacts: dict[str, Path], store: Store
) -> None:
    # A shell lets its background jobs ignore Ctrl-C, and they hand that on; this one hears it.
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from lightmobile.device_bench import bench; bench(sys.argv[1:3])"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(artifacts["tflite"]), str(artifacts["tflite"])],
        env={**os.environ, "LIGHTMOBILE_STORE": str(store.path)},
        stderr=subprocess.PIPE,
    )
    wait_for(lambda: any(isinstance(line, Slice) for line in store.read()))
    runners = psutil.Process(child.pid).children(recursive=True)
    assert len(runners) == 2
    child.send_signal(signal.SIGINT)
    _, trace = child.communicate(timeout=60)
    assert b"KeyboardInterrupt" in trace
    wait_for(lambda: not any(each.is_running() for each in runners))
    ends = [line.stopped for line in store.read() if isinstance(line, End)]
    assert ends == ["interrupted", "interrupted"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
def test_a_killed_bench_loses_its_last_slice_at_most(
    artifacts: dict[str, Path], store: Store, tmp_path: Path
) -> None:
    code = "import sys; from lightmobile.device_bench import bench; bench(sys.argv[1])"
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(artifacts["tflite"])],
        env={**os.environ, "LIGHTMOBILE_STORE": str(store.path), "TMPDIR": str(tmp_path)},
    )
    wait_for(lambda: any(isinstance(line, Slice) for line in store.read()))
    runners = psutil.Process(child.pid).children(recursive=True)
    child.kill()
    child.wait()
    # Their input has ended, and so do they.
    wait_for(lambda: not any(each.is_running() for each in runners))
    lines = store.read()
    assert any(isinstance(line, Process) for line in lines)
    (result,) = results(store)
    assert result.stopped is None
    assert result.samples_ns


def wait_for(is_so: object, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
