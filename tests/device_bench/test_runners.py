"""One suite that every runner conforms to: through a session, and on the bare wire."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from lightmobile.device_bench.devices import open_device
from lightmobile.device_bench.protocol import Load, Tensor
from lightmobile.device_bench.session import RunnerError, RunnerSession
from lightmobile.export.spec import IO, ExportSpec
from lightmobile.export.targets import lower
from tests.device_bench.artifacts import (
    SHAPE,
    expected,
    inputs,
    network,
    tensor,
    write_int8_tflite,
)

MODULES = {"executorch": "executorch_runner", "tflite": "litert_runner"}
DELEGATES = {"executorch": ("XnnpackBackend",), "tflite": ("XNNPACK",)}


@pytest.fixture(scope="module", params=MODULES)
def runtime(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Tensor:
    """The input of the tiny network."""
    return tensor(inputs(), tmp_path_factory.mktemp("noise"))


@pytest.fixture(scope="module")
def session(runtime: str, artifacts: dict[str, Path], noise: Tensor) -> RunnerSession:
    """A session that has loaded; the tests below share it."""
    with open_device("host").start(runtime) as session:
        session.hello()
        session.loaded = session.load(load(artifacts[runtime], noise, threads=1))
        yield session


def load(artifact: Path, *inputs: Tensor, **changes: object) -> Load:
    return Load(**{"artifact": str(artifact), "inputs": inputs} | changes)


def talk(runtime: str, *requests: object) -> list[dict[str, object]]:
    """Send bare lines to a runner and return all that it prints."""
    lines = [each if isinstance(each, str) else json.dumps(each) for each in requests]
    done = subprocess.run(
        [sys.executable, "-m", f"lightmobile.device_bench.runners.{MODULES[runtime]}"],
        input="\n".join(lines) + "\n",
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_says_who_it_is(session: RunnerSession, runtime: str) -> None:
    identity = session.hello()
    assert identity.runtime == runtime
    assert identity.pid == session.pid
    assert identity.computes == ("cpu",)
    assert all(version[0].isdigit() for version in identity.versions.values())
    assert "copied" in identity.timed


def test_says_how_it_loaded(session: RunnerSession, runtime: str) -> None:
    assert session.loaded.delegates == DELEGATES[runtime]
    assert session.loaded.threads == (1 if runtime == "executorch" else None)
    assert session.loaded.load_ns > 1000


def test_times_as_many_inferences_as_asked(session: RunnerSession) -> None:
    ran = session.run(7, warm_up=3)
    assert len(ran.samples_ns) == 7
    assert len(ran.warm_up_ns) == 3


def test_computes_the_same_every_time(session: RunnerSession) -> None:
    digests = {session.run(count).output_sha256 for count in (1, 2, 5)}
    assert len(digests) == 1


def test_computes_what_the_network_computes(session: RunnerSession, tmp_path: Path) -> None:
    session.run(3)
    (output,) = session.outputs(str(tmp_path)).outputs
    found = np.fromfile(output.file, output.dtype).reshape(output.shape)
    np.testing.assert_allclose(found, expected(), rtol=1e-4, atol=1e-5)


def test_tells_its_memory(session: RunnerSession) -> None:
    use = session.memory()
    assert use.peak_bytes >= use.baseline_bytes > 10 * 2**20


def test_every_process_and_only_the_same_input_computes_the_same(
    session: RunnerSession, runtime: str, artifacts: dict[str, Path], noise: Tensor, tmp_path: Path
) -> None:
    first = session.run(1).output_sha256
    for given, same in ((noise, True), (tensor(inputs(1), tmp_path), False)):
        with open_device("host").start(runtime) as other:
            other.load(load(artifacts[runtime], given, threads=1))
            assert (other.run(1).output_sha256 == first) is same


@pytest.mark.skipif(sys.platform != "linux", reason="other systems let no process choose its cores")
def test_runs_on_the_cores_that_it_is_told(
    runtime: str, artifacts: dict[str, Path], noise: Tensor
) -> None:
    core = max(os.sched_getaffinity(0))
    with open_device("host").start(runtime) as session:
        loaded = session.load(load(artifacts[runtime], noise, cores=(core,)))
        assert loaded.cores == (core,)
        threads = Path(f"/proc/{session.pid}/task").iterdir()
        assert {frozenset(os.sched_getaffinity(int(each.name))) for each in threads} >= {
            frozenset({core})
        }


@pytest.mark.slow
def test_profiles_its_operators_or_says_that_it_cannot(
    runtime: str, artifacts: dict[str, Path], noise: Tensor, tmp_path: Path
) -> None:
    from lightmobile.device_bench.profile import read_trace

    trace = tmp_path / "trace"
    with open_device("host").start(runtime) as session:
        loaded = session.load(load(artifacts[runtime], noise, record="profile"))
        if runtime == "tflite":
            with pytest.raises(RunnerError, match="no per-operator times for Python"):
                session.profile(3, str(trace))
            return
        profiled = session.profile(3, str(trace))
    rows = read_trace(trace, profiled.format, loaded.delegates)
    assert any("Convolution" in row.name for row in rows)
    assert {row.delegate for row in rows} == {"XnnpackBackend"}
    assert all(len(row.samples_ns) == 3 for row in rows)


def test_refuses_what_it_cannot_load(
    runtime: str, artifacts: dict[str, Path], noise: Tensor, tmp_path: Path
) -> None:
    whole = artifacts[runtime].read_bytes()
    files = {"empty": b"", "text": b"no model at all" * 100, "truncated": whole[:200]}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "folder").mkdir()
    bad = {name: {"artifact": str(tmp_path / name)} for name in (*files, "folder", "missing")}
    bad |= {
        "threads": {"threads": 100_000},
        "compute": {"compute": "npu"},
        "cores": {"cores": (4000,)},
        "shape": {"inputs": (tensor(inputs()[:1, :, :8, :8].copy(), tmp_path),)},
        "number of inputs": {"inputs": ()},
        "dtype": {"inputs": (noise.model_copy(update={"dtype": "word"}),)},
        "no input": {"inputs": (noise.model_copy(update={"file": str(tmp_path / "none")}),)},
        "short input": {"inputs": (noise.model_copy(update={"file": str(tmp_path / "empty")}),)},
    }
    good = load(artifacts[runtime], noise)
    requests = [json.loads(good.model_copy(update=each).to_line()) for each in bad.values()]
    replies = dict(zip(bad, talk(runtime, *requests), strict=True))
    assert {name: reply.get("stage") for name, reply in replies.items()} == dict.fromkeys(
        bad, "load"
    )
    assert "cores" in replies["threads"]["error"]
    assert "has 1536 numbers, and its file 0" in replies["short input"]["error"]
    assert replies["compute"]["code"] == "unsupported"
    assert all(reply["error"] for reply in replies.values())


def test_answers_every_line_and_prints_nothing_else(
    runtime: str, artifacts: dict[str, Path], noise: Tensor
) -> None:
    good = json.loads(load(artifacts[runtime], noise, later="kept").to_line())
    replies = talk(
        runtime,
        "not json",
        {"protocol": 2, "op": "hello"},
        {"protocol": 1, "op": "dance"},
        {"protocol": 1, "op": "run", "count": 1},
        good | {"artifact": "/no/such/file"},
        good,
        good,
        {"protocol": 1, "op": "run", "count": 2},
        {"protocol": 1, "op": "close"},
        {"protocol": 1, "op": "hello"},
    )
    assert [reply["ok"] for reply in replies] == [*[False] * 5, True, False, True, True]
    assert all(reply["protocol"] == 1 for reply in replies)
    stages = [reply["stage"] for reply in replies if not reply["ok"]]
    assert stages == ["protocol", "protocol", "protocol", "run", "load", "load"]


def test_ends_with_its_input(runtime: str) -> None:
    (reply,) = talk(runtime, {"protocol": 1, "op": "hello"})
    assert reply["ok"]


@pytest.mark.parametrize(
    ("runtime_", "unneeded"),
    [("executorch", "executorch.exir"), ("tflite", "torch")],
)
def test_imports_only_what_running_needs(runtime_: str, unneeded: str) -> None:
    engines = {"executorch": "ExecuTorchEngine", "tflite": "LiteRTEngine"}
    code = (
        f"import sys; from lightmobile.device_bench.runners.{MODULES[runtime_]} import "
        f"{engines[runtime_]} as engine; engine(); print({unneeded!r} in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


@pytest.mark.parametrize("borders", ["float32", "int8"])
def test_runs_integers_between_borders_of_either_type(borders: IO, tmp_path: Path) -> None:
    path = tmp_path / "int8.tflite"
    write_int8_tflite(path, borders)
    given = inputs()
    if borders == "int8":
        given = np.random.default_rng(0).integers(-128, 127, SHAPE, np.int8, endpoint=True)
    with open_device("host").start("tflite") as session:
        session.load(load(path, tensor(given, tmp_path)))
        ran = session.run(3)
        (output,) = session.outputs(str(tmp_path)).outputs
    assert len(ran.samples_ns) == 3
    assert output.dtype == borders
    interpreter = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], given)
    interpreter.invoke()
    expected = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    assert Path(output.file).read_bytes() == expected.tobytes()
    assert len(np.unique(expected)) > 5  # noise of the right width reaches the output


def test_a_program_for_an_accelerator_that_is_not_here_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "vulkan.pte"
    lower(network(), ExportSpec("executorch", "vulkan"), path, input_size=SHAPE[2:])
    with open_device("host").start("executorch") as session:
        session.hello()
        with pytest.raises(RunnerError, match="for VulkanBackend, which ExecuTorch's package"):
            session.load(load(path, tensor(inputs()[:1], tmp_path)))
