import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from lightmobile.errors import UsageError
from lightmobile.models import create_model, load_checkpoint
from lightmobile.models.fasternet import FasterNet
from tests.models.networks import TINY, images, tiny

FOUR_STAGES = TINY | {"depths": (1, 1, 2, 1)}


def _wrap(state, wrapper):
    return {wrapper: state, "epoch": 3} if wrapper else state


def _save(state: object, path: Path) -> Path:
    save_file(state, path) if path.suffix == ".safetensors" else torch.save(state, path)
    return path


@torch.no_grad()
@pytest.mark.parametrize("file", ["w.pth", "w.pt", "w.safetensors"])
@pytest.mark.parametrize("layout", ["official", "timm"])
def test_every_file_and_layout_gives_the_same_answers(tmp_path, file, layout):
    model = tiny(**FOUR_STAGES)
    state = model.state_dict()
    if layout == "timm":
        state = FasterNet.key_maps["timm"].to_theirs(state)
    loaded = create_model("fasternet_t0", _save(state, tmp_path / file), **FOUR_STAGES)
    assert loaded.training
    assert all(parameter.requires_grad for parameter in loaded.parameters())
    assert torch.equal(loaded.eval()(images()), model(images()))


@pytest.mark.parametrize("wrapper", ["model_ema", "state_dict", "model"])
@pytest.mark.parametrize("prefix", ["", "module.", "model."])
def test_what_training_scripts_wrap_around_is_taken_off(tmp_path, wrapper, prefix):
    state = tiny().state_dict()
    content = {wrapper: {prefix + key: tensor for key, tensor in state.items()}, "epoch": 3}
    model = tiny()
    for tensor in model.state_dict().values():
        tensor.zero_()
    load_checkpoint(model, _save(content, tmp_path / "w.pth"))
    assert all(torch.equal(state[key], tensor) for key, tensor in model.state_dict().items())


def test_averaged_weights_come_first(tmp_path):
    averaged, last = tiny().state_dict(), tiny(act="relu").state_dict()
    averaged["head.bias"] = torch.ones(10)
    path = _save({"model": last, "model_ema": averaged}, tmp_path / "w.pth")
    assert create_model("fasternet_t0", path, **TINY).head.bias.sum() == 10


def test_half_precision_is_widened(tmp_path):
    path = _save(tiny().half().state_dict(), tmp_path / "w.pth")
    loaded = create_model("fasternet_t0", path, **TINY)
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}


def test_timm_names_in_both_directions():
    ours = list(tiny(**FOUR_STAGES).state_dict())
    key_map = FasterNet.key_maps["timm"]
    theirs = key_map.to_theirs(dict.fromkeys(ours))
    assert list(key_map.to_ours(theirs)) == ours
    assert set(theirs) >= {
        "patch_embed.proj.weight",
        "stages.0.blocks.0.spatial_mixing.partial_conv3.weight",
        "stages.1.downsample.reduction.weight",
        "stages.1.downsample.norm.running_mean",
        "stages.1.blocks.0.mlp.3.weight",
        "stages.2.blocks.1.mlp.1.bias",
        "stages.3.downsample.reduction.weight",
        "stages.3.blocks.0.mlp.0.weight",
        "conv_head.weight",
        "classifier.weight",
        "classifier.bias",
    }
    assert not [key for key in theirs if key.startswith(("stages.4", "head", "avgpool"))]


class Exploit:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def _edited(**edits: object) -> dict[str, object]:
    state: dict[str, object] = dict(tiny().state_dict())
    for key, value in edits.items():
        state[key.replace("__", ".")] = value
    return state


BAD = {
    "not_a_dict": ([torch.ones(1)], "not a dictionary of named tensors"),
    "a_tensor": (torch.ones(1), "not a dictionary of named tensors"),
    "an_empty_dict": ({}, "not a dictionary of named tensors"),
    "numbers": ({"head.bias": 1.0}, "not a dictionary of named tensors"),
    "numbered": ({1: torch.ones(1)}, "not a dictionary of named tensors"),
    "missing": (
        {key: value for key, value in _edited().items() if "head.1" not in key},
        "1 keys are missing: avgpool_pre_head.1.weight",
    ),
    "unknown": (_edited(extra__weight=torch.ones(1)), "1 keys are unknown: extra.weight"),
    "shape": (_edited(head__bias=torch.ones(7)), r"head.bias has the shape \(7,\).*\(10,\)"),
    "not_finite": (_edited(head__bias=torch.full((10,), torch.nan)), "head.bias holds values"),
    "complex": (_edited(head__bias=torch.ones(10, dtype=torch.cfloat)), "real numbers"),
    "sparse": (_edited(head__bias=torch.ones(10).to_sparse()), "head.bias is not a dense"),
    "another_model": (nn.Linear(2, 2).state_dict(), r"keys are missing: .* and \d+ more"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_checkpoint_that_does_not_fit_says_why(tmp_path, case):
    content, message = BAD[case]
    path = _save(content, tmp_path / "w.pth")
    with pytest.raises(UsageError, match=message):
        create_model("fasternet_t0", path, **TINY)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("damage", ["empty", "truncated", "noise", "text", "flipped"])
def test_a_damaged_file_says_so(tmp_path, suffix, damage):
    path = _save(tiny().state_dict(), tmp_path / f"w{suffix}")
    whole = path.read_bytes()
    noise = np.random.Generator(np.random.PCG64(0)).bytes(4096)
    path.write_bytes(
        {
            "empty": b"",
            "truncated": whole[: len(whole) // 2],
            "noise": noise,
            "text": b"import os",
            "flipped": bytes(byte ^ 0xFF for byte in whole[:64]) + whole[64:],
        }[damage]
    )
    with pytest.raises(UsageError, match=r"is not a checkpoint.*(empty|damaged)"):
        create_model("fasternet_t0", path, **TINY)


@pytest.mark.parametrize("old_format", [False, True])
def test_code_in_a_checkpoint_never_runs(tmp_path, old_format):
    victim = tmp_path / "victim"
    path = tmp_path / "w.pth"
    content = {"head.bias": Exploit(victim)}
    torch.save(content, path, _use_new_zipfile_serialization=not old_format)
    with pytest.raises(UsageError, match="mkdir, and code is never run"):
        create_model("fasternet_t0", path, **TINY)
    assert not victim.exists()


def test_a_whole_pickled_module_is_refused(tmp_path):
    path = tmp_path / "w.pth"
    torch.save(tiny(), path)
    with pytest.raises(UsageError, match="FasterNet, and code is never run"):
        create_model("fasternet_t0", path, **TINY)


@pytest.mark.parametrize("name", ["absent.pth", "absent.safetensors", "."])
def test_a_file_that_cannot_be_read_says_why(tmp_path, name):
    with pytest.raises(UsageError, match=r"cannot be read\. (No such file|Is a directory)"):
        create_model("fasternet_t0", tmp_path / name, **TINY)
