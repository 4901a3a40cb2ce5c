"""What LiteRT's own program prints, and what is made of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lightmobile.device_bench import Store, bench
from lightmobile.device_bench.devices.android.litert_benchmark import (
    check_delegated,
    parse_output,
    run_benchmark_model,
)
from lightmobile.device_bench.devices.android.phone import open_phone
from lightmobile.device_bench.results import results
from lightmobile.errors import DelegationError, DeviceError, LightmobileError, UsageError
from tests.device_bench.lines import configuration
from tests.phone.phone import Phone

# As its documentation and its users show it.
GPU = """\
INFO: STARTING!
INFO: Log parameter values verbosely: [0]
INFO: Graph: [mobilenet.tflite]
INFO: Use gpu: [1]
INFO: Loaded model mobilenet.tflite
INFO: Created TensorFlow Lite delegate for GPU.
INFO: Explicitly applied GPU delegate, and the model graph will be completely executed by the \
delegate.
INFO: The input model file size (MB): 4.2761
INFO: Initialized session in 1361.24ms.
INFO: Running benchmark for at least 1 iterations and at least 0.5 seconds but terminate if \
exceeding 150 seconds.
INFO: count=5 first=125113 curr=112537 min=111758 max=125113 avg=115344 std=4959 p5=111758 \
median=112912 p95=125113

INFO: Running benchmark for at least 50 iterations and at least 1 seconds but terminate if \
exceeding 150 seconds.
INFO: count=50 first=119614 curr=115889 min=111842 max=119614 avg=115246 std=1329 p5=112107 \
median=115350 p95=116620

INFO: Inference timings in us: Init: 1361236, First inference: 125113, Warmup (avg): 115344, \
Inference (avg): 115246
INFO: Memory footprint delta from the start of the tool (MB): init=14.4414 overall=14.8164
"""
OLDER = """\
STARTING!
Loaded model net.tflite
count=1 curr=3512391

count=50 first=2990275 curr=2913402 min=2727568 max=3189954 avg=2.95034e+06 std=109798

Inference timings in us: Init: 17187, First inference: 3512391, Warmup (avg): 3.51239e+06, \
Inference (avg): 2.95034e+06
Peak memory footprint (MB): init=4.92969 overall=138.809
"""
PARTIAL = """\
INFO: Created TensorFlow Lite delegate for GPU.
VERBOSE: Replacing 40 out of 58 node(s) with delegate (TfLiteGpuDelegateV2) node
INFO: Explicitly applied GPU delegate, and the model graph will be partially executed by the \
delegate w/ 3 delegate kernels.
"""


def test_the_figures_of_a_release() -> None:
    found = parse_output(GPU, "r", "s")
    assert (found.count, found.load_ns, found.first_ns) == (50, 1_361_236_000, 125_113_000)
    assert (found.mean_ns, found.median_ns) == (115_246_000, 115_350_000)
    assert (found.min_ns, found.max_ns, found.std_ns) == (111_842_000, 119_614_000, 1_329_000)
    assert (found.p5_ns, found.p95_ns) == (112_107_000, 116_620_000)
    assert found.warm_up_mean_ns == 115_344_000
    assert found.memory_bytes == round(14.8164 * 2**20)
    check_delegated(GPU, "net.tflite")


def test_an_older_release_tells_no_median() -> None:
    found = parse_output(OLDER, "r", "s")
    assert (found.mean_ns, found.median_ns, found.p95_ns) == (2_950_340_000, None, None)
    assert found.count == 50
    assert found.memory_bytes == round(138.809 * 2**20)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ERROR: Failed to load model",
        GPU.partition("INFO: Inference timings")[0],
        GPU.replace("count=", "number="),
        GPU.replace("Init: 1361236", "Init: e.e"),
        GPU.replace("Init: 1361236", "Init: 1e999"),
        GPU.replace("Init: 1361236", "Init: 0"),
        GPU.replace("min=111842", "min=0"),
        GPU.replace("overall=14.8164", "overall=1e300"),
        GPU.replace("count=50", "count=0"),
    ],
)
def test_output_that_is_not_the_documented_one(text: str) -> None:
    with pytest.raises(DeviceError, match="benchmark_model"):
        parse_output(text, "r", "s")


@pytest.mark.parametrize(
    ("text", "says"), [(PARTIAL, "40 of 58 operators"), (OLDER, "does not say that it did")]
)
def test_a_gpu_that_does_not_run_all_of_it_is_an_error(text: str, says: str) -> None:
    with pytest.raises(DelegationError, match=says):
        check_delegated(text, "net.tflite")


def a_program(folder: Path, text: str, status: int = 0) -> Path:
    """Return a program that prints its words and `text`, as the phone's shell runs it."""
    path = folder / "benchmark_model"
    path.write_text(
        f"#!/system/bin/sh\necho \"words: $*\"\ncat <<'END'\n{text}\nEND\nexit {status}\n"
    )
    return path


@pytest.fixture
def network(tmp_path: Path) -> Path:
    path = tmp_path / "a network.tflite"
    path.write_bytes(b"TFL3")
    return path


def test_a_given_program_runs_on_the_phone(phone: Phone, tmp_path: Path, network: Path) -> None:
    wanted = configuration("r1", runtime="tflite", compute="gpu", threads=2)
    with open_phone() as device:
        found = run_benchmark_model(device, a_program(tmp_path, GPU), network, wanted, "s1")
    assert (found.result, found.session, found.count) == ("r1", "s1", 50)
    (line,) = (each for each in phone.lines("shell") if "--use_gpu=true" in each)
    assert "--num_threads=2" in line
    assert ".tflite" in line
    assert "a network" not in line


@pytest.mark.parametrize(
    ("text", "status", "compute", "says"),
    [
        (PARTIAL, 0, "gpu", "40 of 58 operators"),
        ("ERROR: Failed to load", 1, "cpu", "Failed to load"),
        ("hello", 0, "cpu", "did not print its times"),
        (GPU, 0, "npu", "measures no npu"),
    ],
)
def test_a_given_program_that_fails(
    text: str, status: int, compute: str, says: str, phone: Phone, tmp_path: Path, network: Path
) -> None:
    wanted = configuration(runtime="tflite", compute=compute)
    program = a_program(tmp_path, text, status)
    with open_phone() as device, pytest.raises(LightmobileError, match=says):
        run_benchmark_model(device, program, network, wanted, "s1")


def test_a_program_that_is_none(phone: Phone, tmp_path: Path, network: Path) -> None:
    wanted = configuration(runtime="tflite", compute="cpu")
    with open_phone() as device, pytest.raises(UsageError, match="no program"):
        run_benchmark_model(device, tmp_path / "none", network, wanted, "s1")


def test_a_bench_by_the_program_is_a_result_like_any_other(
    phone: Phone, artifacts: dict[str, Path], tmp_path: Path
) -> None:
    report = bench(
        artifacts["tflite"],
        device=f"android:{phone.serial}",
        compute="gpu",
        litert_benchmark=a_program(tmp_path, GPU),
        store=(store := Store(tmp_path / "store.jsonl")),
    )
    (found,) = report.to_dict()["results"]
    assert (found["compute"], found["emulated"]) == ("gpu", True)
    assert found["latency_ms"] == {
        "median": 115.35,
        "ci95": [None, None],
        "p5": 112.107,
        "p90": None,
        "p95": 116.62,
    }
    assert found["summary"]["mean_ms"] == 115.246
    assert found["samples_ns"] == []
    assert [each.to_dict() for each in results(store)] == [found]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"device": "host"}, "is for phones"),
        ({"numerics": True}, "has no such passes"),
        ({"litert_benchmark": "/no/such/program"}, "There is no program"),
    ],
)
def test_a_bench_that_the_program_cannot_do(
    phone: Phone, artifacts: dict[str, Path], tmp_path: Path, changes: dict[str, Any], why: str
) -> None:
    facts = {"device": "android", "litert_benchmark": a_program(tmp_path, GPU)}
    with pytest.raises(UsageError, match=why):
        bench(artifacts["tflite"], **facts | changes)
