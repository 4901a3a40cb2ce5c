"""Networks trained for real keep their accuracy through fusing and every export."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from lightmobile.models import fuse
from lightmobile.models.fasternet import FasterNet
from lightmobile.models.layers.deep_training import lambda_schedule, set_lambda
from lightmobile.models.vanillanet import VanillaNet
from tests import digits
from tests.cli import lightmobile

pytestmark = pytest.mark.slow


def _train_with_fading_activations(model: nn.Module) -> None:
    for epoch in range(20):
        set_lambda(model, lambda_schedule(epoch, 12))
        digits.train(model, epochs=1, seed=epoch)


def _checkpoint(folder: Path, model: nn.Module, train: Callable[[nn.Module], None]) -> float:
    """Train `model`, write its checkpoint, and return its accuracy."""
    started = time.process_time()  # It trains on one thread, whatever else the machine does.
    train(model)
    assert time.process_time() - started < 60
    accuracy = digits.accuracy(model)
    assert digits.accuracy(fuse(model)) == accuracy > 0.9
    save_file(model.state_dict(), folder / "digits.safetensors")
    return accuracy


@pytest.fixture(scope="module")
def held_out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits")
    digits.write_held_out(folder)
    return folder


@pytest.fixture(scope="module")
def fasternet(tmp_path_factory):
    """A folder with a checkpoint of the plug-in's model, and its accuracy."""
    folder = tmp_path_factory.mktemp("fasternet")
    size = {"embed_dim": 16, "depths": (1, 1, 2, 1), "feature_dim": 64, "num_classes": 10}
    return folder, _checkpoint(folder, FasterNet(**size, act="relu"), digits.train)


@pytest.fixture(scope="module")
def vanillanet(tmp_path_factory):
    """The same of a network whose convolutions grow together as it learns."""
    folder = tmp_path_factory.mktemp("vanillanet")
    torch.manual_seed(0)
    network = VanillaNet(dims=(24, 48, 48), strides=(2, 1), act_num=1, num_classes=10)
    return folder, _checkpoint(folder, network, _train_with_fading_activations)


@pytest.mark.parametrize(
    "words",
    [
        ["--target", "all"],
        ["--target", "executorch", "--precision", "fp16"],
        ["--target", "coreml", "--precision", "fp32"],
        ["--target", "executorch", "--backend", "portable"],
        ["--target", "tflite", "--layout", "nhwc", "--batch", "8"],
    ],
    ids=" ".join,
)
def test_accuracy_survives_every_export(fasternet, held_out, plugin_env, tmp_path, words):
    _accuracy_survives("fasternet_digits", fasternet, held_out, plugin_env, tmp_path, words)


def test_accuracy_of_merged_convolutions_survives(vanillanet, held_out, plugin_env, tmp_path):
    words = ["--target", "all"]
    _accuracy_survives("vanillanet_digits", vanillanet, held_out, plugin_env, tmp_path, words)


def _accuracy_survives(model, trained, held_out, env, output, words):
    folder, accuracy = trained
    checkpoint = ["--checkpoint", folder / "digits.safetensors"]
    done = lightmobile("export", model, *words, *checkpoint, "-o", output, "--json", env=env)
    assert done.code == 0, done.err
    for artifact in done.json["artifacts"]:
        parity = artifact["parity"]
        if artifact["precision"] == "fp32":
            assert parity["rel_l2"] <= 1e-5
        else:
            assert parity["sqnr_db"] >= 45
        words = ["eval", artifact["path"], "--data", held_out, "--json"]
        evaluated = lightmobile(*words, env=env).json
        assert evaluated["samples"] == digits.HELD_OUT
        # fp16 may turn an image that lies on the border: one in 360.
        assert evaluated["top1"] == pytest.approx(accuracy, abs=1.5 / digits.HELD_OUT)
        verified = lightmobile("verify", artifact["path"], *checkpoint, env=env)
        assert verified.code == 0, verified.err
        assert lightmobile("verify", artifact["path"], env=env).code == 2
