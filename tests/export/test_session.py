"""`export` as users run it: workers, the cache, and what goes wrong in each phase."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

import lightmobile.export as package
from lightmobile.errors import UsageError, VerificationError
from lightmobile.export import export, read_manifest
from lightmobile.export.artifact import sha256_of
from lightmobile.export.spec import target_info
from tests.cli import COMMAND, INTERRUPTIBLE, lightmobile
from tests.export import tiny

pytestmark = pytest.mark.slow


def export_tiny(folder, **options):
    settings = {"overrides": tiny.OVERRIDES, "input_size": tiny.SIZE, "output_dir": folder}
    return export("fasternet_t0", **settings | options)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(autouse=True, scope="module")
def _own_cache(tmp_path_factory):
    """Leave the cache that other tests fill, in other processes too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIGHTMOBILE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def exported(tmp_path_factory, lasting_exporters):
    """All targets of the tiny network, and what was reported meanwhile."""
    phases: dict[str, list[str]] = {}
    folder = tmp_path_factory.mktemp("exported")
    artifacts = export_tiny(
        folder, progress=lambda target, phase: phases.setdefault(target, []).append(phase)
    )
    return folder, artifacts, phases


def test_each_target_is_in_place_with_its_manifest(exported):
    folder, artifacts, _ = exported
    assert [artifact.target for artifact in artifacts] == ["executorch", "coreml", "tflite"]
    assert [artifact.path.name for artifact in artifacts] == [
        "fasternet_t0-64x64.xnnpack.fp32.pte",
        "fasternet_t0-64x64.coreml.fp16.mlpackage",
        "fasternet_t0-64x64.tflite.fp32.tflite",
    ]
    expected = [(a.path.name, a.manifest.name) for a in artifacts]
    assert names(folder) == sorted(name for pair in expected for name in pair)


def test_manifests_tell_everything(exported):
    _, artifacts, _ = exported
    for artifact in artifacts:
        manifest = read_manifest(artifact.path)
        info = target_info(artifact.target)
        assert manifest.file == artifact.path.name
        assert manifest.file_sha256 == sha256_of(artifact.path)
        assert manifest.file_bytes == artifact.bytes
        assert manifest.overrides == tiny.OVERRIDES
        assert manifest.input_size == tiny.SIZE == manifest.preprocessing.crop
        assert (manifest.weights.source, manifest.weights.seed) == ("untrained", 0)
        assert manifest.why_precision == info.backends[manifest.backend].why_default
        assert set(manifest.versions) >= {"lightmobile", "torch"}
        units = {"compute_units": "ALL"} if artifact.target == "coreml" else {}
        assert manifest.lowering == {"pconv": "slicing"} | units
        assert manifest.placements
        assert manifest.parity == artifact.parity
        assert json.loads(artifact.manifest.read_text())["schema"] == 1
        assert set(artifact.to_dict()["parity"]) == {
            "max_abs",
            "rel_l2",
            "sqnr_db",
            "top1_agreement",
        }


def test_the_phases_come_in_order(exported):
    _, _, phases = exported
    order = ["importing", "waiting", "lowering", "verifying", "done"]
    assert phases == dict.fromkeys(["executorch", "coreml", "tflite"], order) | phases
    assert all(heard == order for heard in phases.values())


def test_the_same_export_again_comes_from_the_cache(exported, tmp_path):
    _, artifacts, _ = exported
    again = export_tiny(tmp_path)
    assert all(artifact.cached for artifact in again)
    assert not any(artifact.cached for artifact in artifacts)
    for first, second in zip(artifacts, again, strict=True):
        assert sha256_of(first.path) == sha256_of(second.path)
        assert first.parity == second.parity
    assert [a.cached for a in export_tiny(tmp_path, seed=1, targets=["tflite"])] == [False]


def test_a_cached_export_imports_no_exporter_and_takes_no_time(exported, tmp_path):
    program = (
        "import sys, time; started = time.perf_counter()\n"
        "from lightmobile.export import export\n"
        f"export('fasternet_t0', overrides={tiny.OVERRIDES}, input_size={tiny.SIZE},"
        f" output_dir={str(tmp_path)!r})\n"
        "print(time.perf_counter() - started, {'torch', 'coremltools'} & set(sys.modules))"
    )
    done = subprocess.run([COMMAND[0], "-c", program], capture_output=True, text=True, check=True)
    seconds, heavy = done.stdout.split(" ", 1)
    assert heavy.strip() == "set()"
    assert float(seconds) < 5  # on a busy machine; benchmarks/export_time.py holds it to 1 s


def test_the_package_is_the_function(exported, tmp_path):
    settings = {"overrides": tiny.OVERRIDES, "input_size": tiny.SIZE, "output_dir": tmp_path}
    (artifact,) = package("fasternet_t0", targets=["tflite"], **settings)  # type: ignore[operator]
    assert artifact.cached


@pytest.mark.usefixtures("lasting_exporters")
def test_a_checkpoint_is_named_and_hashed(tmp_path):
    from safetensors.torch import save_file

    from lightmobile.models import prepare

    prepared = prepare("fasternet_t0", overrides=tiny.OVERRIDES, input_size=tiny.SIZE, seed=7)
    checkpoint = tmp_path / "trained.safetensors"
    save_file(prepared.training.state_dict(), checkpoint)
    (artifact,) = export_tiny(tmp_path, targets=["tflite"], checkpoint=checkpoint)
    weights = read_manifest(artifact.path).weights
    assert (weights.source, weights.checkpoint) == ("checkpoint", "trained.safetensors")
    assert weights.checkpoint_sha256 == sha256_of(checkpoint)
    assert weights.sha256 == prepared.weights["sha256"]


@pytest.mark.usefixtures("lasting_exporters")
def test_other_precisions_batches_and_layouts_lie_side_by_side(tmp_path):
    export_tiny(tmp_path, targets=["tflite"], layout="nhwc", batch=3)
    export_tiny(tmp_path, targets=["executorch"], precision="fp16", backend="portable")
    (artifact,) = export_tiny(tmp_path, targets=["coreml"], precision="fp32")
    assert "default is fp16" in read_manifest(artifact.path).why_precision
    assert [name for name in names(tmp_path) if not name.endswith(".json")] == [
        "fasternet_t0-64x64-b3-nhwc.tflite.fp32.tflite",
        "fasternet_t0-64x64.coreml.fp32.mlpackage",
        "fasternet_t0-64x64.portable.fp16.pte",
    ]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"targets": []}, "no target"),
        ({"targets": ["onnx"]}, "no target 'onnx'"),
        ({"precision": "fp16"}, "no precision 'fp16'"),
        ({"seed": -1}, "seed"),
        ({"checkpoint": "nowhere.pth"}, "no checkpoint"),
        ({"checkpoint": "/"}, "no checkpoint"),
        ({"input_size": (2, 2)}, "2x2"),
        ({"input_size": (10**6, 10**6), "targets": ["tflite"]}, "memory"),
    ],
)
def test_bad_words_leave_nothing(tmp_path, options, words):
    with pytest.raises(UsageError, match=words):
        export_tiny(tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("lasting_exporters")
def test_a_log_is_kept_and_shown(tmp_path, capfd):
    log = tmp_path / "log"
    export_tiny(tmp_path, targets=["tflite"], use_cache=False, log=log, verbose=True)
    assert "LiteRT-Torch Convert" in log.read_text()
    captured = capfd.readouterr()
    assert "LiteRT-Torch Convert" in captured.err
    assert captured.out == ""
    export_tiny(tmp_path, targets=["tflite"], use_cache=False)
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""
    with pytest.raises(UsageError, match="cannot be written"):
        export_tiny(tmp_path, targets=["tflite"], use_cache=False, log=tmp_path / "no" / "log")


# A folder on PYTHONPATH stands before the installed packages, in the workers too.
STAND_INS = {
    "absent": ("raise ImportError('no coremltools here')", 2, "no coremltools here"),
    "killed": ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", 1, "SIGKILL"),
    "broken": ("raise KeyError('unexpected')", 1, "KeyError: 'unexpected'"),
    "full": (
        "import errno; raise OSError(errno.ENOSPC, 'No space left on device')",
        2,
        "no space left",
    ),
    "noisy": ("print('chatter', flush=True); import os; os._exit(3)", 1, "chatter"),
}


@pytest.mark.parametrize(("source", "code", "words"), STAND_INS.values(), ids=STAND_INS)
def test_a_failing_exporter_is_explained(tmp_path, source, code, words):
    assert words in failing(tmp_path, source, code, "coreml")
    assert not (tmp_path / "out").exists()


def test_a_failing_exporter_stops_no_other(tmp_path):
    source, code, words = STAND_INS["killed"]
    assert words in failing(tmp_path, source, code, "coreml,tflite")
    assert names(tmp_path / "out") == [
        "fasternet_t0-32x32.tflite.fp32.tflite",
        "fasternet_t0-32x32.tflite.fp32.tflite.json",
    ]


def failing(tmp_path, source, code, targets):
    """Export with `source` in place of coremltools; return what the error said."""
    package = tmp_path / "path" / "coremltools"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(source)
    output = tmp_path / "out"
    options = ["--input-size", "32", "32", "--target", targets, "--no-cache"]
    done = lightmobile(
        "export",
        "fasternet_t0",
        *options,
        "-o",
        output,
        "--json",
        env={"PYTHONPATH": str(package.parent)},
    )
    assert done.code == code
    return " ".join(done.error.values())


WRONG_TARGET = """
import torch
from lightmobile.export.spec import Backend, TargetInfo
from lightmobile.export.targets import executorch
from lightmobile.export.verification.engines import ENGINES

INFO = TargetInfo("wrong", "Wrong", ".pte", {"xnnpack": Backend(("fp32",), "")}, ("torch",))
ENGINES["wrong"] = ENGINES["executorch"]
preload = executorch.preload

class Wrong(torch.nn.Module):
    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, x):
        return self.body(x) * 1.001

def lower(module, spec, path, example, images):
    return executorch.lower(Wrong(module).eval(), spec, path, example)
"""


def test_an_artifact_that_computes_something_else_is_not_kept(tmp_path):
    path = tmp_path / "path"
    metadata = path / "wrong-1.dist-info"
    metadata.mkdir(parents=True)
    (path / "wrong_target.py").write_text(WRONG_TARGET)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: wrong\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[lightmobile.targets]\nwrong = wrong_target\n")
    output = tmp_path / "out"
    words = ["--input-size", "32", "32", "--target", "wrong", "-o", output, "--json"]
    model = "fasternet_t0,depths=1x1x1x1"
    done = lightmobile("export", model, *words, env={"PYTHONPATH": str(path)})
    assert done.code == VerificationError.exit_code, done.err
    assert "L2" in " ".join(done.error.values())
    assert not output.exists()


def workers_in(folder: Path) -> list[psutil.Process]:
    """Return the exporters whose temporary files lie in `folder`."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if "lightmobile.export.worker" in (process.info["cmdline"] or ()):
            with contextlib.suppress(psutil.Error):
                if str(folder) in process.environ().get("TMPDIR", ""):
                    found.append(process)
    return found


@pytest.mark.parametrize("phase", ["importing", "waiting", "lowering", "verifying"])
def test_a_session_killed_outright_leaves_no_worker(tmp_path, phase):
    words = ["export", "fasternet_t0", "--no-cache", "--target", "coreml", "-o", str(tmp_path)]
    process = subprocess.Popen([*COMMAND, *words], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert any(phase in line for line in process.stderr)
    assert workers_in(tmp_path)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 20
    while workers_in(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert workers_in(tmp_path) == []
    assert [name for name in names(tmp_path) if not name.startswith(".lightmobile-")] == []


@pytest.mark.parametrize("phase", ["waiting", "lowering", "verifying"])
def test_ctrl_c_ends_the_workers(tmp_path, phase):
    words = ["export", "fasternet_t0", "--no-cache", "--target", "coreml", "-o", str(tmp_path)]
    process = subprocess.Popen([*INTERRUPTIBLE, *words], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert any(phase in line for line in process.stderr)
    process.send_signal(signal.SIGINT)
    rest = process.stderr.read()
    assert process.wait(timeout=30) == 130
    assert "Traceback" not in rest
    assert workers_in(tmp_path) == []
    assert names(tmp_path) == []


ROOT = os.name == "posix" and os.geteuid() == 0
NAMESPACE = ("unshare", "-m") if ROOT else ("unshare", "-rm")


# The weights take 15.6 MB, the reference 48 MB more, the artifact another 8 to 16 MB.
# Each target writes the artifact; the weights and the reference are the session's, for all targets.
@pytest.mark.tool("unshare")
@pytest.mark.parametrize(
    ("target", "megabytes"),
    [("coreml", 5), ("coreml", 40), ("executorch", 68), ("coreml", 68), ("tflite", 68)],
)
def test_a_full_disk_is_said_and_left_as_it_was(tmp_path, target, megabytes):
    mount = f'mount -t tmpfs -o size={megabytes}m none "$0" && "$@"; code=$?; ls -A "$0" >&2'
    shell = ("sh", "-c", mount + "; exit $code", str(tmp_path))
    if subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this kernel lets nobody make a mount namespace")
    words = ["export", "fasternet_t0", "--no-cache", "--target", target, "-o", tmp_path, "--json"]
    done = lightmobile(*words, prefix=(*NAMESPACE, *shell))
    assert done.code == 2, done.err
    assert "no space left" in done.error["what"]
    assert str(tmp_path) in done.error["what"]
    assert ".lightmobile-" not in done.out + done.err
    assert "fasternet" not in done.err.splitlines()[-1]


@pytest.mark.skipif(ROOT, reason="root may write everywhere")
def test_a_folder_without_permission_is_said(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UsageError, match="cannot be written"):
        export_tiny(tmp_path)


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_a_file_where_the_folder_should_be_is_said(tmp_path, name):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="cannot be written"):
        export_tiny(tmp_path / name)
    assert (tmp_path / "file").read_text() == "mine"
