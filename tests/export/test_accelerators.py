"""ExecuTorch for accelerators that are not here: one piece each, proved from the file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from lightmobile.errors import UsageError
from lightmobile.export import export, read_manifest, verify
from lightmobile.export.spec import ExportSpec
from lightmobile.export.targets import lower
from lightmobile.export.verification.accelerators import CoreMLDelegate, VulkanDelegate
from tests import zoo
from tests.export.tiny import OVERRIDES, SIZE, tiny_fasternet

ENGINES = {"vulkan": VulkanDelegate, "coreml": CoreMLDelegate}
SPECS = {
    f"{backend}-{precision}": ExportSpec("executorch", backend, precision, batch=batch)
    for backend, batch in (("vulkan", 1), ("coreml", 2))
    for precision in ("fp32", "fp16")
}
CHOICES = {
    "vulkan-fp32": {"gelu": "exact, of 23 operators"},
    "vulkan-fp16": {"gelu": "tanh approximation"},
    "coreml-fp32": {"compute_units": "ALL", "deployment_target": "iOS16"},
    "coreml-fp16": {"compute_units": "ALL", "deployment_target": "iOS16"},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SPECS)
def test_an_accelerator_takes_the_whole_network(name: str, tmp_path: Path) -> None:
    module, spec, path = tiny_fasternet(act="gelu"), SPECS[name], tmp_path / "net.pte"
    lowered = lower(module, spec, path, input_size=SIZE)
    (placement,) = lowered.placements
    assert (placement.delegated_subgraphs, placement.undelegated) == (1, {})
    assert sum(n for kind, n in placement.delegated.items() if kind.startswith("conv")) == 17
    assert lowered.lowering == {"pconv": "slicing"} | CHOICES[name]
    assert [value.dtype for value in (*lowered.inputs, *lowered.outputs)] == ["float32"] * 2

    engine = ENGINES[spec.backend](path)
    images = np.random.default_rng(0).standard_normal(engine.input_shape, np.float32)
    with torch.inference_mode():
        expected = module(torch.from_numpy(images)).numpy()
    (measured,) = engine.run(images)
    error = np.linalg.norm(measured - expected) / np.linalg.norm(expected)
    assert error < (1e-5 if spec.precision == "fp32" else 1e-2)


def test_vulkan_takes_one_image_at_a_time(tmp_path: Path) -> None:
    spec = ExportSpec("executorch", "vulkan", batch=2)
    with pytest.raises(UsageError, match="one image at a time"):
        lower(tiny_fasternet(), spec, tmp_path / "x", input_size=SIZE)


def test_the_defaults_are_what_the_processors_are_for() -> None:
    default = {name: ExportSpec("executorch", name).precision for name in (*ENGINES, "qnn")}
    assert default == {"vulkan": "fp32", "coreml": "fp16", "qnn": "fp16"}
    assert "coremltools" in ExportSpec("executorch", "coreml").packages


# What Core ML's delegate needs again and again is proved of `.mlpackage` files too.
@pytest.mark.parametrize(
    "backend",
    [
        pytest.param("vulkan", marks=pytest.mark.slow),
        pytest.param("coreml", marks=pytest.mark.nightly),
    ],
)
def test_a_file_is_exported_and_verified_again_by_itself(backend: str, tmp_path: Path) -> None:
    (artifact,) = export(
        "fasternet_t0",
        targets=("executorch",),
        backend=backend,
        overrides=OVERRIDES,
        input_size=SIZE,
        output_dir=tmp_path,
    )
    first, again = read_manifest(artifact.path).parity, verify(artifact.path).parity
    # Another process may sum in another order.
    assert again.rel_l2 == pytest.approx(first.rel_l2, rel=0.1)
    assert again.method == ENGINES[backend].method
    assert again.weights_compared == 19


@pytest.mark.nightly
@pytest.mark.parametrize("backend", ENGINES)
@pytest.mark.parametrize("name", zoo.MEMBERS)
def test_every_family_is_one_piece(name: str, backend: str, tmp_path: Path) -> None:
    size = (64, 64) if name != "hetconv_vgg16_p4" else (32, 32)
    (artifact,) = export(
        name,
        targets=("executorch",),
        backend=backend,
        precision="fp32",
        overrides=zoo.MEMBERS[name] | {"num_classes": 10},
        input_size=size,
        output_dir=tmp_path,
    )
    (placement,) = read_manifest(artifact.path).placements
    assert (placement.delegated_subgraphs, placement.undelegated) == (1, {})


@pytest.mark.parametrize("precision", ["fp16", "int8"])
@pytest.mark.parametrize(
    ("root", "why"),
    [(None, "QNN_SDK_ROOT is not set"), ("nowhere", "libQnnHtp.so"), ("sdk", "libQnnHtp.so")],
)
def test_qnn_without_its_sdk_is_refused(
    root: str | None, why: str, precision: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    damaged = tmp_path / "sdk" / "lib" / "x86_64-linux-clang" / "libQnnHtp.so"
    damaged.parent.mkdir(parents=True)
    damaged.touch()
    monkeypatch.delenv("QNN_SDK_ROOT", raising=False)
    if root:
        monkeypatch.setenv("QNN_SDK_ROOT", str(tmp_path / root))
    spec = ExportSpec("executorch", "qnn", precision)
    with pytest.raises(UsageError, match="'qnn' needs Qualcomm's") as refused:
        lower(tiny_fasternet(), spec, tmp_path / "x", input_size=SIZE, images=[])
    assert why in refused.value.why
    assert not (tmp_path / "x").exists()


def test_nothing_of_qualcomms_is_imported_without_its_sdk() -> None:
    """Its package would download the SDK."""
    code = """
import os, sys
os.environ.pop("QNN_SDK_ROOT", None)
from lightmobile.export.targets.executorch_backends import require_qnn
try:
    require_qnn()
except Exception as error:
    print(type(error).__name__, any("qualcomm" in name for name in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["UsageError", "False"]
