"""Networks trained for real keep their accuracy through fusing and every export."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import nn

from lightmobile.export.manifest import read_manifest
from lightmobile.export.precision import PRECISIONS
from lightmobile.export.verification.engines import answer, open_engines
from lightmobile.export.verification.metrics import BARS, sqnr_db
from lightmobile.models import fuse
from lightmobile.models.fasternet import FasterNet
from lightmobile.models.layers.deep_training import lambda_schedule, set_lambda
from lightmobile.models.vanillanet import VanillaNet
from tests import digits
from tests.cli import lightmobile

pytestmark = pytest.mark.slow


class Trained(NamedTuple):
    """A network that has learnt, its checkpoint and its accuracy."""

    deployed: nn.Module
    checkpoint: Path
    accuracy: float


def _train_with_fading_activations(model: nn.Module) -> None:
    for epoch in range(20):
        set_lambda(model, lambda_schedule(epoch, 12))
        digits.train(model, epochs=1, seed=epoch)


def _trained(folder: Path, model: nn.Module, train: Callable[[nn.Module], None]) -> Trained:
    """Train `model` and write its checkpoint."""
    started = time.process_time()  # It trains on one thread, whatever else the machine does.
    train(model)
    assert time.process_time() - started < 60
    accuracy = digits.accuracy(model)
    deployed = fuse(model)
    assert digits.accuracy(deployed) == accuracy > 0.9
    checkpoint = folder / "digits.safetensors"
    save_file(model.state_dict(), checkpoint)
    return Trained(deployed, checkpoint, accuracy)


@pytest.fixture(scope="module")
def held_out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits")
    digits.write_held_out(folder)
    return folder


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    folder = tmp_path_factory.mktemp("training")
    digits.write_training(folder)
    return folder


@pytest.fixture(scope="module")
def fasternet(tmp_path_factory):
    """The plug-in's model."""
    folder = tmp_path_factory.mktemp("fasternet")
    torch.manual_seed(0)
    size = {"embed_dim": 16, "depths": (1, 1, 2, 1), "feature_dim": 64, "num_classes": 10}
    return _trained(folder, FasterNet(**size, act="relu"), digits.train)


@pytest.fixture(scope="module")
def vanillanet(tmp_path_factory):
    """Its network whose convolutions grow together as it learns."""
    folder = tmp_path_factory.mktemp("vanillanet")
    torch.manual_seed(0)
    network = VanillaNet(dims=(24, 48, 48), strides=(2, 1), act_num=1, num_classes=10)
    return _trained(folder, network, _train_with_fading_activations)


@pytest.mark.parametrize(
    "words",
    [
        ["--target", "all"],
        ["--target", "tflite", "--layout", "nhwc", "--batch", "8"],
        # Elsewhere these are compared with PyTorch, as every export is.
        pytest.param(["--target", "executorch", "--precision", "fp16"], marks=pytest.mark.nightly),
        pytest.param(["--target", "coreml", "--precision", "fp32"], marks=pytest.mark.nightly),
        pytest.param(
            ["--target", "executorch", "--backend", "portable"], marks=pytest.mark.nightly
        ),
    ],
    ids=" ".join,
)
def test_accuracy_survives_every_export(fasternet, held_out, plugin_env, tmp_path, words):
    _accuracy_survives("fasternet_digits", fasternet, held_out, plugin_env, tmp_path, words)


def test_accuracy_of_merged_convolutions_survives(vanillanet, held_out, plugin_env, tmp_path):
    words = ["--target", "coreml,tflite"]
    _accuracy_survives("vanillanet_digits", vanillanet, held_out, plugin_env, tmp_path, words)


def _accuracy_survives(model, trained, held_out, env, output, words):
    checkpoint = ["--checkpoint", trained.checkpoint]
    done = lightmobile("export", model, *words, *checkpoint, "-o", output, "--json", env=env)
    assert done.code == 0, done.err
    for artifact in done.json["artifacts"]:
        parity = artifact["parity"]
        if artifact["precision"] == "fp32":
            assert parity["rel_l2"] <= 1e-5
        else:
            assert parity["sqnr_db"] >= 45
        # fp16 may turn an image that lies on the border: one in 360.
        kept = pytest.approx(trained.accuracy, abs=1.5 / digits.HELD_OUT)
        assert _accuracy(_logits(Path(artifact["path"]))) == kept
    assert _evaluated(artifact["path"], held_out, env) == kept
    verified = lightmobile("verify", artifact["path"], *checkpoint, env=env)
    assert verified.code == 0, verified.err


def _evaluated(artifact, held_out, env):
    """The accuracy that a user is told, who has the digits as images."""
    evaluated = lightmobile("eval", artifact, "--data", held_out, "--json", env=env).json
    assert evaluated["samples"] == digits.HELD_OUT
    return evaluated["top1"]


@pytest.mark.parametrize(
    ("precision", "targets"),
    [
        ("int8", "all"),
        pytest.param("int16x8", "tflite", marks=pytest.mark.nightly),
        pytest.param("int8_dynamic", "executorch,tflite", marks=pytest.mark.nightly),
        pytest.param("w8", "coreml,tflite", marks=pytest.mark.nightly),
        pytest.param("w6p", "coreml", marks=pytest.mark.nightly),
    ],
)
def test_accuracy_survives_quantization(
    fasternet, training, held_out, plugin_env, tmp_path, precision, targets
):
    words = ["--target", targets, "--precision", precision, "--checkpoint", fasternet.checkpoint]
    if PRECISIONS[precision].calibrated:
        # The photographs that an export is judged on go beyond the ranges of any digits, and what
        # lies beyond is cut off: 19 dB are left there, and 32 and more on digits.
        words += ["--calibration", training, "--min-sqnr", "10"]
    done = lightmobile(
        "export", "fasternet_digits", *words, "-o", tmp_path, "--json", env=plugin_env
    )
    assert done.code == 0, done.err
    images, _ = digits.held_out()
    with torch.no_grad():
        expected = fasternet.deployed(images).numpy()
    kept = pytest.approx(fasternet.accuracy, abs=0.01)
    for artifact in done.json["artifacts"]:
        logits = _logits(Path(artifact["path"]))
        assert _accuracy(logits) == kept
        assert sqnr_db(expected, logits) >= BARS[precision].sqnr_db
    assert _evaluated(artifact["path"], held_out, plugin_env) == kept


def _logits(artifact: Path) -> NDArray[np.float32]:
    """What a file answers to the held-out digits."""
    images, _ = digits.held_out()
    manifest = read_manifest(artifact)
    engine, *_ = open_engines(artifact, manifest)
    logits, *_ = answer(engine, artifact, images.numpy(), manifest.layout)
    return logits


def _accuracy(logits: NDArray[np.float32]) -> float:
    _, labels = digits.held_out()
    return float((logits.argmax(1) == labels.numpy()).mean())
