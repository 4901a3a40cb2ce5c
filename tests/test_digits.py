"""A network trained for real keeps its accuracy through fusing and every export."""

import time

import pytest
from safetensors.torch import save_file

from lightmobile.models import fuse
from lightmobile.models.fasternet import FasterNet
from tests import digits
from tests.cli import lightmobile

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A checkpoint of the plug-in's model, its accuracy, and the held-out images as files."""
    folder = tmp_path_factory.mktemp("digits")
    model = FasterNet(embed_dim=16, depths=(1, 1, 2, 1), feature_dim=64, act="relu", num_classes=10)
    started = time.monotonic()
    digits.train(model)
    assert time.monotonic() - started < 60
    accuracy = digits.accuracy(model)
    assert accuracy > 0.9
    assert digits.accuracy(fuse(model)) == accuracy
    save_file(model.state_dict(), folder / "digits.safetensors")
    digits.write_held_out(folder / "images")
    return folder, accuracy


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
def test_accuracy_survives_every_export(trained, plugin_env, tmp_path, words):
    folder, accuracy = trained
    checkpoint = ["--checkpoint", folder / "digits.safetensors"]
    common = {"env": plugin_env}
    done = lightmobile(
        "export", "fasternet_digits", *words, *checkpoint, "-o", tmp_path, "--json", **common
    )
    assert done.code == 0, done.err
    for artifact in done.json["artifacts"]:
        parity = artifact["parity"]
        if artifact["precision"] == "fp32":
            assert parity["rel_l2"] <= 1e-5
        else:
            assert parity["sqnr_db"] >= 45
        evaluated = lightmobile(
            "eval", artifact["path"], "--data", folder / "images", "--json", **common
        ).json
        assert evaluated["samples"] == digits.HELD_OUT
        # fp16 may turn an image that lies on the border: one in 360.
        assert evaluated["top1"] == pytest.approx(accuracy, abs=1.5 / digits.HELD_OUT)
        verified = lightmobile("verify", artifact["path"], *checkpoint, **common)
        assert verified.code == 0, verified.err
        assert lightmobile("verify", artifact["path"], **common).code == 2
