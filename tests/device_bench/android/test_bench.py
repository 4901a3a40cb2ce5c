"""The whole bench on a phone: pushed runners really run there; and what may befall them."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lightmobile.device_bench import Store, bench
from lightmobile.device_bench.devices.android.phone import AndroidPhone, open_phone
from lightmobile.device_bench.schema import End, Failure, Numerics, Process, Reading, Session, Slice
from lightmobile.device_bench.session import RunnerError
from lightmobile.errors import DeviceError
from lightmobile.export.manifest import manifest_path, read_manifest
from tests.cli import INTERRUPTIBLE, lightmobile
from tests.device_bench.android.checks import left_as_it_was, runs
from tests.phone.phone import Phone

pytestmark = [
    pytest.mark.usefixtures("runner_bundle"),
    pytest.mark.filterwarnings("ignore:.*was not seen to restore its settings"),
]


# The request that starts the runner, and none of the others that name its file.
EXECUTORCH = "shell:.*exec .*/executorch_runner"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store.jsonl")


def lines(store: Store, kind: type) -> list[Any]:
    return [line for line in store.read() if isinstance(line, kind)]


def test_artifacts_are_measured_and_compared(
    phone: Phone, artifacts: dict[str, Path], store: Store
) -> None:
    with left_as_it_was(phone):
        report = bench(
            list(artifacts.values()),
            device=f"android:{phone.serial}",
            rounds=2,
            threads=[1, 2],
            cores="mid",
            numerics=True,
            store=store,
        )
    assert [(r.configuration.runtime, r.configuration.threads) for r in report.results] == [
        ("executorch", 1),
        ("executorch", 2),
        ("tflite", 1),
        ("tflite", 2),
    ]
    assert not report.skipped
    for result in report.results:
        document = result.to_dict()
        assert document["emulated"] is True
        assert document["device"] == f"android:{phone.serial}"
        assert {part.round for part in result.slices} == {0, 1}
        # The artifacts are of no model that PyTorch could be asked for.
        assert {failure.stage for failure in result.failures} == {"numerics"}
    (session,) = lines(store, Session)
    assert session.device.emulated
    assert session.device.model == "Pixel 8"
    assert [(r.round, r.when) for r in lines(store, Reading)] == [
        (0, "before"),
        (0, "after"),
        (1, "before"),
        (1, "after"),
    ]
    assert lines(store, Reading)[0].cooling.outcome == "cool"
    agreements = lines(store, Numerics)
    assert {(n.result, n.against) for n in agreements} == {(r.id, "host") for r in report.results}
    assert all(n.passed and n.rel_l2 <= 1e-5 for n in agreements)
    assert {p.threads for p in lines(store, Process)} == {1, 2}


def test_the_second_run_pushes_nothing(
    phone: Phone, artifacts: dict[str, Path], store: Store
) -> None:
    def sent() -> int:
        return sum(line.startswith("SEND") for line in phone.lines("sync"))

    bench(artifacts["executorch"], device="android", rounds=1, store=store)
    first = sent()
    bench(artifacts["executorch"], device="android", rounds=1, store=store)
    assert first > 10
    assert sent() == first


def test_a_phone_that_is_pulled_out_and_plugged_in_loses_nothing(
    phone: Phone, artifacts: dict[str, Path], store: Store
) -> None:
    phone.add_fault(EXECUTORCH, "unplug", at="output", after_bytes=900, back_after_s=1)
    with left_as_it_was(phone):
        report = bench(artifacts["executorch"], device="android", rounds=4, store=store)
    assert phone.faults_fired == 1
    (result,) = report.results
    assert {part.round for part in result.slices} == {0, 1, 2, 3}
    assert result.stopped == "rounds"
    assert not result.failures


def test_a_phone_that_stays_away_leaves_the_store_whole(
    phone: Phone, artifacts: dict[str, Path], store: Store
) -> None:
    # The fourth reading is the one after the first round.
    phone.add_fault("system:dumpsys battery", "unplug", nth=4)
    device = open_phone(phone.serial)
    device.reconnect_timeout_s = 1.0
    with left_as_it_was(phone), pytest.raises(DeviceError, match=r"cannot be used|no phone"):
        bench(artifacts["executorch"], device=device, rounds=40, store=store)
    assert phone.faults_fired == 1
    assert lines(store, Slice)
    (end,) = lines(store, End)
    assert end.stopped == "interrupted"


FAULTS = {
    "killed as it starts": {"action": "kill", "at": "output", "after_bytes": 10},
    "killed in a run": {"action": "kill", "at": "output", "after_bytes": 600},
    "aborts": {"action": "exit", "at": "output", "after_bytes": 600, "status": 134},
    "garbage": {"action": "garbage", "at": "output", "after_bytes": 5},
    "not executable": {
        "action": "fail",
        "at": "before",
        "message": "Permission denied",
        "status": 126,
    },
}
# A runner that is killed in the middle of an answer has given one that is none.
SAID = "died|an answer that is none"


@pytest.mark.parametrize("name", FAULTS)
def test_a_runner_that_fails_ends_no_other(
    name: str, phone: Phone, artifacts: dict[str, Path], store: Store
) -> None:
    phone.add_fault(EXECUTORCH, **FAULTS[name])
    with left_as_it_was(phone):
        report = bench([*artifacts.values()], device="android", rounds=1, store=store)
    assert phone.faults_fired
    assert [result.configuration.runtime for result in report.results] == ["tflite"]
    (skipped,) = report.skipped
    assert skipped.runtime == "executorch"
    (failure,) = lines(store, Failure)
    assert failure.stage in {"hello", "load", "run"}
    assert re.search(SAID, failure.error)


@pytest.mark.parametrize("action", ["hang", "cut"])
def test_a_runner_that_answers_half_or_nothing_is_not_waited_for(action: str, phone: Phone) -> None:
    phone.add_fault(EXECUTORCH, action, at="output", after_bytes=20)
    start = time.monotonic()
    with left_as_it_was(phone), open_phone(phone.serial) as device:
        session = device.start("executorch")
        with pytest.raises(RunnerError, match="did not answer within 3 s") as caught:
            session.hello(timeout_s=3.0)
    assert caught.value.stage == "hello"
    assert time.monotonic() - start < 30


def test_a_runner_on_a_lost_phone_says_so(phone: Phone) -> None:
    with left_as_it_was(phone), open_phone(phone.serial) as device:
        session = device.start("tflite")
        session.hello()
        phone.unplug()
        with pytest.raises(RunnerError, match="was lost") as caught:
            session.memory()
    assert caught.value.stage == "memory"


def test_a_disk_that_executes_nothing(start_phone: Callable[..., Phone]) -> None:
    phone = start_phone(noexec=True)
    with left_as_it_was(phone), open_phone(phone.serial) as device:
        session = device.start("executorch")
        with pytest.raises(RunnerError, match=r"Permission denied|can't execute"):
            session.hello()


def test_an_artifact_of_another_version(phone: Phone) -> None:
    device = open_phone(phone.serial)
    assert device.why_not_artifact("executorch", {"executorch": "1.5.1"}) is None
    why = device.why_not_artifact("executorch", {"executorch": "1.4.0"})
    assert why is not None
    assert "1.4.0" in why
    assert "1.5.1" in why
    assert device.why_not_artifact("tflite", {"litert-torch": "0.1"}) is None


def test_an_artifact_of_another_version_is_not_run(
    phone: Phone, artifacts: dict[str, Path], store: Store, tmp_path: Path
) -> None:
    old = tmp_path / artifacts["executorch"].name
    old.write_bytes(artifacts["executorch"].read_bytes())
    manifest = read_manifest(artifacts["executorch"])
    versions = {"versions": {"executorch": "1.4.0"}}
    manifest_path(old).write_text(manifest.model_copy(update=versions).to_json())
    report = bench([old, artifacts["tflite"]], device="android", rounds=1, store=store)
    (skipped,) = report.skipped
    assert "exported with executorch 1.4.0" in skipped.reason
    assert [result.configuration.runtime for result in report.results] == ["tflite"]


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "models",
    [
        # In an emulator a network of the full size takes minutes.
        pytest.param(["fasternet_t0,resolution=64"], marks=pytest.mark.slow),
        pytest.param(["fasternet_t0", "mobilenet_v2"], marks=pytest.mark.nightly),
    ],
    ids=" ".join,
)
def test_networks_by_name_go_the_whole_way(models: list[str], phone: Phone, store: Store) -> None:
    with left_as_it_was(phone):
        done = lightmobile(
            *("bench", *models, "--device", f"android:{phone.serial}"),
            *("--rounds", "1", "--numerics", "--store", store.path, "--json"),
            timeout=900,
        )
    assert done.code == 0, done.err
    results = done.json["results"]
    assert [(each["model"], each["runtime"]) for each in results] == [
        (model, runtime) for model in models for runtime in ("executorch", "tflite")
    ]
    for each in results:
        assert each["emulated"]
        assert {agreement["against"] for agreement in each["numerics"]} == {"pytorch", "host"}
        assert all(agreement["rel_l2"] <= 1e-5 for agreement in each["numerics"])
    table = lightmobile("results", "--store", store.path)
    assert table.out.count("EMULATED") >= 4 * len(results)


def test_a_hot_phone_is_flagged(
    phone: Phone, artifacts: dict[str, Path], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Impatient(AndroidPhone):
        def wait_until_cool(self, progress: Any, **_: Any) -> Any:
            return super().wait_until_cool(progress, timeout_s=0.2, poll_s=0.1)

    phone.heat({"status": 3, "skin": 46.0, "battery": 44.0})
    device = Impatient(open_phone(phone.serial)._shell)
    (result,) = bench(artifacts["executorch"], device=device, rounds=1, store=store).results
    assert result.to_dict()["hot"]
    assert {r.cooling.outcome for r in lines(store, Reading) if r.cooling} == {"timed out"}
    assert {r.condition.thermal_status for r in lines(store, Reading)} == {3}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_bench_leaves_nothing(
    number: signal.Signals, phone: Phone, artifacts: dict[str, Path], store: Store
) -> None:
    words = ["bench", str(artifacts["executorch"]), "--device", "android", "--rounds", "500"]
    command = [*INTERRUPTIBLE, *words, "--store", str(store.path)]
    with left_as_it_was(phone):
        with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
            phone.wait_until(lambda: store.path.exists() and len(lines(store, Slice)) > 2, 60.0)
            process.send_signal(number)
            assert process.stderr is not None
            said = process.stderr.read()
            assert process.wait(timeout=30) == 130
        assert b"Traceback" not in said
    (end,) = lines(store, End)
    assert end.stopped == "interrupted"


def test_a_killed_bench_leaves_nothing(
    phone: Phone, artifacts: dict[str, Path], store: Store
) -> None:
    words = ["bench", str(artifacts["executorch"]), "--device", "android", "--rounds", "500"]
    command = [*INTERRUPTIBLE, *words, "--store", str(store.path)]
    with left_as_it_was(phone), subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        phone.wait_until(lambda: store.path.exists() and len(lines(store, Slice)) > 2, 60.0)
        process.kill()
    assert lines(store, Slice)


def test_hostile_names_run_nothing(
    start_phone: Callable[..., Phone], artifacts: dict[str, Path], tmp_path: Path
) -> None:
    owned = tmp_path / "owned"
    words = f"$(touch {owned}); `id`' \"\n&|"
    phone = start_phone(properties={"ro.product.model": words})
    folder = tmp_path / "a b; $(touch owned) '\"`id`"
    folder.mkdir()
    path = folder / f"-x; $(touch {owned.name}) &'\".pte"
    source = artifacts["executorch"]
    path.write_bytes(source.read_bytes())
    manifest = source.with_name(source.name + ".json").read_text()
    path.with_name(path.name + ".json").write_text(manifest.replace(source.name, "x.pte"))
    done = lightmobile(
        *("bench", path, "--device", f"android:{phone.serial}", "--rounds", "1"), cwd=tmp_path
    )
    assert done.code == 0, done.err
    assert not owned.exists()
    assert not any("owned" in each for each in phone.files())
    done = lightmobile("bench", path, "--device", f"android:{phone.serial}; touch {owned}")
    assert done.code == 5
    assert not owned.exists()
    assert runs(phone) == []
