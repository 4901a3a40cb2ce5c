"""One suite that every runner conforms to: through a session, and on the bare wire."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from lightmobile.device_bench.protocol import Tensor
from lightmobile.device_bench.session import RunnerError, RunnerSession
from lightmobile.export.spec import IO, ExportSpec
from lightmobile.export.targets import lower
from tests.device_bench import native
from tests.device_bench.artifacts import (
    SHAPE,
    expected,
    inputs,
    network,
    tensor,
    write_int8_tflite,
)
from tests.device_bench.networks import MODELS, PROGRAMS, write_model, write_program
from tests.device_bench.requests import HELLO, HOSTILE, exchange, load

MODULES = {"executorch": "executorch_runner", "tflite": "litert_runner"}
DELEGATES = {"executorch": ("XnnpackBackend",), "tflite": ("XNNPACK",)}
NATIVE_TOOLS = [pytest.mark.tool("cmake"), pytest.mark.tool("c++")]


@dataclass(frozen=True)
class Runner:
    """A program that speaks the protocol."""

    runtime: str
    is_native: bool

    @property
    def command(self) -> list[str]:
        if self.is_native:
            return native.command(self.runtime)
        return [sys.executable, "-m", f"lightmobile.device_bench.runners.{MODULES[self.runtime]}"]

    def start(self) -> RunnerSession:
        return RunnerSession(self.command)

    def __str__(self) -> str:
        return f"{'native' if self.is_native else 'python'}-{self.runtime}"


PYTHON = [Runner(runtime, False) for runtime in MODULES]
NATIVE = [Runner(runtime, True) for runtime in MODULES]
NATIVE_PARAMS = [pytest.param(each, marks=NATIVE_TOOLS, id=str(each)) for each in NATIVE]
PARAMS = [*(pytest.param(each, id=str(each)) for each in PYTHON), *NATIVE_PARAMS]


@pytest.fixture(scope="module", params=PARAMS)
def runner(request: pytest.FixtureRequest) -> Runner:
    return request.param


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Tensor:
    """The input of the tiny network."""
    return tensor(inputs(), tmp_path_factory.mktemp("noise"))


@pytest.fixture(scope="module")
def session(runner: Runner, artifacts: dict[str, Path], noise: Tensor) -> RunnerSession:
    """A session that has loaded; the tests below share it."""
    with runner.start() as session:
        session.hello()
        session.loaded = session.load(load(artifacts[runner.runtime], noise, threads=1))
        yield session


def talk(runner: Runner, *requests: object) -> list[dict[str, object]]:
    """Send bare lines to a runner and return all that it prints."""
    lines = [each if isinstance(each, str) else json.dumps(each) for each in requests]
    return exchange(runner.command, ("\n".join(lines) + "\n").encode())


def test_says_who_it_is(session: RunnerSession, runner: Runner) -> None:
    identity = session.hello()
    assert identity.runtime == runner.runtime
    assert identity.pid == session.pid
    assert identity.computes == ("cpu",)
    assert all(version[0].isdigit() for version in identity.versions.values())
    assert "copied" in identity.timed


def test_says_how_it_loaded(session: RunnerSession, runner: Runner) -> None:
    assert session.loaded.delegates == DELEGATES[runner.runtime]
    # LiteRT's package for Python does not tell it.
    tells = runner.is_native or runner.runtime == "executorch"
    assert session.loaded.threads == (1 if tells else None)
    assert session.loaded.cores == tuple(sorted(os.sched_getaffinity(0)))
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
    assert use.peak_bytes >= use.baseline_bytes > 2**20


def test_every_process_and_only_the_same_input_computes_the_same(
    session: RunnerSession,
    runner: Runner,
    artifacts: dict[str, Path],
    noise: Tensor,
    tmp_path: Path,
) -> None:
    first = session.run(1).output_sha256
    for given, same in ((noise, True), (tensor(inputs(1), tmp_path), False)):
        with runner.start() as other:
            other.load(load(artifacts[runner.runtime], given, threads=1))
            assert (other.run(1).output_sha256 == first) is same


@pytest.mark.skipif(sys.platform != "linux", reason="other systems let no process choose its cores")
def test_runs_on_the_cores_that_it_is_told(
    runner: Runner, artifacts: dict[str, Path], noise: Tensor
) -> None:
    core = max(os.sched_getaffinity(0))
    with runner.start() as session:
        loaded = session.load(load(artifacts[runner.runtime], noise, cores=(core,)))
        assert loaded.cores == (core,)
        threads = Path(f"/proc/{session.pid}/task").iterdir()
        assert {frozenset(os.sched_getaffinity(int(each.name))) for each in threads} >= {
            frozenset({core})
        }


@pytest.mark.slow
def test_profiles_its_operators_or_says_that_it_cannot(
    runner: Runner, artifacts: dict[str, Path], noise: Tensor, tmp_path: Path
) -> None:
    from lightmobile.device_bench.profile import read_trace

    trace = tmp_path / "trace"
    with runner.start() as session:
        loaded = session.load(load(artifacts[runner.runtime], noise, record="profile"))
        if runner == Runner("tflite", is_native=False):
            with pytest.raises(RunnerError, match="no per-operator times for Python"):
                session.profile(3, str(trace))
            return
        profiled = session.profile(3, str(trace))
    rows = read_trace(trace, profiled.format, loaded.delegates)
    assert any("Convolution" in row.name for row in rows)
    assert {row.delegate for row in rows} == set(DELEGATES[runner.runtime])
    assert all(len(row.samples_ns) == 3 for row in rows)


def test_refuses_what_it_cannot_load(
    runner: Runner, artifacts: dict[str, Path], noise: Tensor, tmp_path: Path
) -> None:
    whole = artifacts[runner.runtime].read_bytes()
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
    good = load(artifacts[runner.runtime], noise)
    requests = [json.loads(good.model_copy(update=each).to_line()) for each in bad.values()]
    run = {"protocol": 1, "op": "run", "count": 1}
    *refusals, loaded, ran = talk(runner, *requests, json.loads(good.to_line()), run)
    replies = dict(zip(bad, refusals, strict=True))
    assert {name: reply.get("stage") for name, reply in replies.items()} == dict.fromkeys(
        bad, "load"
    )
    assert "cores" in replies["threads"]["error"]
    assert "has 6144 bytes, and its file 0" in replies["short input"]["error"]
    assert replies["compute"]["code"] == "unsupported"
    assert all(reply["error"] for reply in replies.values())
    # Nothing of what was refused is left.
    assert loaded["ok"]
    assert ran["ok"]


def test_answers_every_line_and_prints_nothing_else(
    runner: Runner, artifacts: dict[str, Path], noise: Tensor
) -> None:
    good = json.loads(load(artifacts[runner.runtime], noise, later="kept").to_line())
    replies = talk(
        runner,
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
    assert [reply["ok"] for reply in replies] == [*[False] * 5, True, True, True, True]
    assert all(reply["protocol"] == 1 for reply in replies)
    stages = [reply["stage"] for reply in replies if not reply["ok"]]
    assert stages == ["protocol", "protocol", "protocol", "run", "load"]


def test_a_load_takes_the_place_of_the_one_before(
    runner: Runner, artifacts: dict[str, Path], noise: Tensor
) -> None:
    good = json.loads(load(artifacts[runner.runtime], noise).to_line())
    run = {"protocol": 1, "op": "run", "count": 1}
    replies = talk(runner, good, run, good | {"artifact": "/no/such/file"}, run, good, run)
    assert [reply["ok"] for reply in replies] == [True, True, False, False, True, True]
    assert replies[3]["error"] == "nothing is loaded"
    assert replies[1]["output_sha256"] == replies[5]["output_sha256"]


def test_ends_with_its_input(runner: Runner) -> None:
    (reply,) = talk(runner, {"protocol": 1, "op": "hello"})
    assert reply["ok"]


def test_refuses_hostile_lines_and_goes_on(runner: Runner) -> None:
    lines = b"".join(line + b"\n" + HELLO + b"\n" for line in HOSTILE.values())
    replies = exchange(runner.command, lines)
    refusals = dict(zip(HOSTILE, replies[::2], strict=True))
    assert all(reply["ok"] for reply in replies[1::2])
    assert {name: reply["ok"] for name, reply in refusals.items()} == dict.fromkeys(HOSTILE, False)
    assert all(reply["error"] for reply in refusals.values())


@pytest.mark.parametrize("native_runner", NATIVE_PARAMS)
def test_passes_over_a_line_that_is_too_long(native_runner: Runner) -> None:
    longest = 16 * 2**20
    lines = (HELLO + b" " * (longest - len(HELLO)), b'{"op": "' + b"a" * longest, HELLO)
    replies = exchange(native_runner.command, b"\n".join(lines))
    assert [reply["ok"] for reply in replies] == [True, False, True]
    assert replies[1]["stage"] == "protocol"
    assert "too long" in replies[1]["error"]


def test_ends_when_nobody_reads_its_replies(runner: Runner) -> None:
    with subprocess.Popen(
        runner.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.close()
        process.communicate((HELLO + b"\n") * 3, timeout=120)
    assert process.returncode == 1


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


LITERT = [
    pytest.param(each, marks=NATIVE_TOOLS if each.is_native else [], id=str(each))
    for each in (*PYTHON, *NATIVE)
    if each.runtime == "tflite"
]
EXECUTORCH = [
    pytest.param(each, marks=NATIVE_TOOLS if each.is_native else [], id=str(each))
    for each in (*PYTHON, *NATIVE)
    if each.runtime == "executorch"
]


@pytest.fixture(scope="module")
def int8_models(tmp_path_factory: pytest.TempPathFactory) -> dict[IO, Path]:
    """The tiny network in integers, by the type of its borders."""
    folder = tmp_path_factory.mktemp("int8")
    models: dict[IO, Path] = {"float32": folder / "float32", "int8": folder / "int8"}
    for borders, path in models.items():
        write_int8_tflite(path, borders)
    return models


def noise_of(borders: IO) -> np.ndarray:
    if borders == "float32":
        return inputs()
    return np.random.default_rng(0).integers(-128, 127, SHAPE, np.int8, endpoint=True)


@pytest.mark.parametrize("runtime", MODULES)
@pytest.mark.tool("cmake")
@pytest.mark.tool("c++")
def test_native_runners_compute_the_bits_of_the_python_ones(
    runtime: str, artifacts: dict[str, Path], noise: Tensor
) -> None:
    digests = set()
    for is_native in (False, True):
        with Runner(runtime, is_native).start() as session:
            session.load(load(artifacts[runtime], noise, threads=1))
            digests.add(session.run(2).output_sha256)
    assert len(digests) == 1


@pytest.mark.slow
@pytest.mark.tool("cmake")
@pytest.mark.tool("c++")
@pytest.mark.parametrize(
    ("runtime", "name"),
    [*(("executorch", name) for name in PROGRAMS), *(("tflite", name) for name in MODELS)],
)
def test_both_kinds_run_whatever_a_network_is_made_of(
    runtime: str, name: str, tmp_path: Path
) -> None:
    path = tmp_path / "artifact"
    write = write_program if runtime == "executorch" else write_model
    given, expected = write(name, path)
    found = []
    for is_native in (False, True):
        with Runner(runtime, is_native).start() as session:
            tensors = [tensor(each, tmp_path) for each in given]
            loaded = session.load(load(path, *tensors, threads=1))
            # Planned inputs share memory with what is computed: the third shows it.
            ran = session.run(3)
            outputs = session.outputs(str(tmp_path)).outputs
            found.append((loaded.delegates, ran.output_sha256))
    assert found[0] == found[1]
    for output, true in zip(outputs, expected, strict=True):
        values = np.fromfile(output.file, output.dtype).reshape(output.shape)
        np.testing.assert_allclose(values, true, rtol=1e-4, atol=1e-4)


@pytest.mark.tool("cmake")
@pytest.mark.tool("c++")
def test_native_runners_are_small_and_built_once(runtime_programs: list[Path]) -> None:
    before = [program.stat().st_mtime_ns for program in runtime_programs]
    native.build_here()
    assert [program.stat().st_mtime_ns for program in runtime_programs] == before
    assert all(program.stat().st_size < 2**20 for program in runtime_programs)
    folder = runtime_programs[0].parent
    assert sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) < 20 * 2**20


@pytest.fixture
def runtime_programs() -> list[Path]:
    return [Path(native.command(runtime)[0]) for runtime in MODULES]


@pytest.mark.tool("clang-format")
def test_native_sources_are_formatted() -> None:
    sources = sorted(native.SOURCES.glob("*.cpp")) + sorted(native.SOURCES.glob("*.h"))
    assert len(sources) > 10
    done = subprocess.run(
        ["clang-format", "--dry-run", "-Werror", *sources],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("runner_", NATIVE_PARAMS)
@pytest.mark.parametrize("threads", [1, 2])
def test_reads_its_threads_back(
    runner_: Runner, threads: int, artifacts: dict[str, Path], noise: Tensor
) -> None:
    if threads > (os.cpu_count() or 1):
        pytest.skip("this machine has one core")
    with runner_.start() as session:
        loaded = session.load(load(artifacts[runner_.runtime], noise, threads=threads))
        session.run(1)
        tasks = len([*Path(f"/proc/{session.pid}/task").iterdir()])
    assert loaded.threads == threads
    # The first is the runner's own, and computes too.
    assert tasks == threads


@pytest.mark.parametrize("borders", ["float32", "int8"])
@pytest.mark.parametrize("litert", LITERT)
def test_runs_integers_between_borders_of_either_type(
    litert: Runner, borders: IO, int8_models: dict[IO, Path], tmp_path: Path
) -> None:
    given = noise_of(borders)
    with litert.start() as session:
        session.load(load(int8_models[borders], tensor(given, tmp_path)))
        ran = session.run(3)
        (output,) = session.outputs(str(tmp_path)).outputs
    assert len(ran.samples_ns) == 3
    assert output.dtype == borders
    interpreter = Interpreter(model_path=str(int8_models[borders]))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], given)
    interpreter.invoke()
    expected = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    assert Path(output.file).read_bytes() == expected.tobytes()
    assert len(np.unique(expected)) > 5  # noise of the right width reaches the output


@pytest.mark.parametrize("executorch", EXECUTORCH)
def test_a_program_for_an_accelerator_that_is_not_here_is_refused_by_name(
    executorch: Runner, vulkan_program: Path, tmp_path: Path
) -> None:
    with executorch.start() as session:
        session.hello()
        with pytest.raises(RunnerError, match="for VulkanBackend, which ExecuTorch's package"):
            session.load(load(vulkan_program, tensor(inputs()[:1], tmp_path)))


@pytest.fixture(scope="module")
def vulkan_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny network for a phone's GPU."""
    path = tmp_path_factory.mktemp("vulkan") / "vulkan.pte"
    lower(network(), ExportSpec("executorch", "vulkan"), path, input_size=SHAPE[2:])
    return path
