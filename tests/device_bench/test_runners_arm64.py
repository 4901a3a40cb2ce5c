"""The bundle's runners, emulated: what a phone computes. Times mean nothing here."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from lightmobile.device_bench.bundle import Bundle
from lightmobile.device_bench.protocol import Tensor
from lightmobile.device_bench.session import RunnerError, RunnerSession
from lightmobile.export.spec import ExportSpec
from lightmobile.export.targets import lower
from tests.device_bench import native
from tests.device_bench.artifacts import SHAPE, inputs, network, tensor, write_int8_tflite
from tests.device_bench.requests import HELLO, HOSTILE, exchange, load
from tests.phone.fixture import load_fixture
from tests.phone.tree import make_tree

# By default QEMU emulates SME, with which LiteRT computes wrong integers.
PROCESSOR = "cortex-a76"
FORMATS = {"executorch": "etdump", "tflite": "litert"}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.tool("qemu-aarch64-static"),
    pytest.mark.tool("cmake"),
    pytest.mark.tool("c++"),
]


class Emulated:
    """The runners of a folder, started as on a phone, of which they find ``/proc`` and ``/sys``."""

    def __init__(self, push: Path, phone: Path) -> None:
        self._push = push
        self._phone = phone

    def command(self, runtime: str) -> list[str]:
        return [
            *("qemu-aarch64-static", "-cpu", PROCESSOR, "-L", str(self._phone)),
            *(str(self._push / "ld-linux-aarch64.so.1"), "--library-path", str(self._push)),
            str(self._push / native.PROGRAMS[runtime]),
        ]

    def start(self, runtime: str) -> RunnerSession:
        return RunnerSession(self.command(runtime))


@pytest.fixture(scope="module")
def emulated(runner_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Emulated:
    phone = tmp_path_factory.mktemp("phone")
    make_tree(phone, load_fixture("pixel_8"))
    shutil.copy(phone / "kernel" / "cpuinfo", phone / "proc" / "cpuinfo")
    return Emulated(runner_bundle.files[0].parent, phone)


@pytest.fixture(params=native.PROGRAMS)
def runtime(request: pytest.FixtureRequest) -> str:
    return request.param


def outputs(session: RunnerSession, folder: Path) -> list[np.ndarray]:
    folder.mkdir()
    return [
        np.fromfile(each.file, each.dtype).reshape(each.shape)
        for each in session.outputs(str(folder)).outputs
    ]


def computed(
    emulated: Emulated, runtime: str, artifact: Path, given: Tensor, folder: Path
) -> tuple[np.ndarray, np.ndarray]:
    """Return the output of the emulated runner and of this machine's."""
    found = []
    sessions = {
        "phone": emulated.start(runtime),
        "here": RunnerSession(native.command(runtime)),
    }
    for name, session in sessions.items():
        with session:
            session.load(load(artifact, given, threads=1))
            session.run(2)
            (output,) = outputs(session, folder / name)
            found.append(output)
    return found[0], found[1]


@pytest.mark.parametrize("threads", [1, 2])
def test_loads_and_runs_as_asked(
    emulated: Emulated, runtime: str, threads: int, artifacts: dict[str, Path], tmp_path: Path
) -> None:
    given = tensor(inputs(), tmp_path)
    with emulated.start(runtime) as session:
        assert session.hello().runtime == runtime
        loaded = session.load(load(artifacts[runtime], given, threads=threads, cores=(0,)))
        assert (loaded.threads, loaded.cores) == (threads, (0,))
        ran = session.run(3, warm_up=2)
        assert (len(ran.warm_up_ns), len(ran.samples_ns)) == (2, 3)
        assert session.run(1).output_sha256 == ran.output_sha256
        use = session.memory()
        assert use.peak_bytes >= use.baseline_bytes > 0


def test_computes_floats_as_this_machine_does(
    emulated: Emulated, runtime: str, artifacts: dict[str, Path], tmp_path: Path
) -> None:
    given = tensor(inputs(), tmp_path)
    phone, here = computed(emulated, runtime, artifacts[runtime], given, tmp_path)
    assert phone.dtype == here.dtype == np.float32
    assert np.linalg.norm(phone - here) <= 1e-5 * np.linalg.norm(here)


def test_computes_integers_as_this_machine_does(emulated: Emulated, tmp_path: Path) -> None:
    path = tmp_path / "int8.tflite"
    write_int8_tflite(path, "int8")
    noise = np.random.default_rng(0).integers(-128, 127, SHAPE, np.int8, endpoint=True)
    phone, here = computed(emulated, "tflite", path, tensor(noise, tmp_path), tmp_path)
    assert phone.dtype == here.dtype == np.int8
    assert np.abs(phone.astype(int) - here).max() <= 1


def test_computes_an_int8_program_within_a_step(emulated: Emulated, tmp_path: Path) -> None:
    path = tmp_path / "int8.pte"
    images = [inputs(seed) for seed in range(4)]
    spec = ExportSpec("executorch", "xnnpack", precision="int8", batch=SHAPE[0])
    lower(network(), spec, path, input_size=SHAPE[2:], images=images)
    given = tensor(inputs(), tmp_path)
    phone, here = computed(emulated, "executorch", path, given, tmp_path)
    # Floats at the border, of 256 steps at most; the smallest difference is a step.
    step = np.diff(np.unique(here)).min()
    assert np.abs(phone - here).max() <= step * 1.001


def test_profiles_its_operators(
    emulated: Emulated, runtime: str, artifacts: dict[str, Path], tmp_path: Path
) -> None:
    from lightmobile.device_bench.profile import read_trace

    trace = tmp_path / "trace"
    with emulated.start(runtime) as session:
        given = tensor(inputs(), tmp_path)
        loaded = session.load(load(artifacts[runtime], given, record="profile", threads=1))
        profiled = session.profile(2, str(trace))
    assert profiled.format == FORMATS[runtime]
    rows = read_trace(trace, profiled.format, loaded.delegates)
    assert any("Convolution" in row.name and row.delegate for row in rows)
    assert all(len(row.samples_ns) == 2 for row in rows)


def test_refuses_hostile_lines_and_goes_on(emulated: Emulated, runtime: str) -> None:
    lines = b"".join(line + b"\n" + HELLO + b"\n" for line in HOSTILE.values())
    replies = exchange(emulated.command(runtime), lines)
    assert [reply["ok"] for reply in replies] == [False, True] * len(HOSTILE)


def test_refuses_a_program_for_an_accelerator(emulated: Emulated, tmp_path: Path) -> None:
    path = tmp_path / "vulkan.pte"
    lower(network(), ExportSpec("executorch", "vulkan"), path, input_size=SHAPE[2:])
    with (
        emulated.start("executorch") as session,
        pytest.raises(RunnerError, match="for VulkanBackend"),
    ):
        session.load(load(path, tensor(inputs()[:1], tmp_path)))
