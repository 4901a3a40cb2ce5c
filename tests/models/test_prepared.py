import hashlib
import os
import subprocess
import sys

import pytest
import torch
from torch import nn

from lightmobile.errors import UsageError
from lightmobile.export.manifest import WeightSource
from lightmobile.models import prepare
from lightmobile.models.photographs import crops
from lightmobile.models.prepared import load_deployed, save_deployed, weights_sha256
from lightmobile.models.preprocessing import preprocess
from tests.models.networks import TINY, images, tiny

SMALL = {"input_size": (64, 64), "overrides": TINY}


def _logits(prepared, count=16):
    photographs = crops(count, prepared.facts.input_size, seed=1)
    with torch.no_grad():
        return prepared.deployed(
            torch.from_numpy(preprocess(photographs, prepared.facts.preprocessing))
        )


def _share_that_varies(logits):
    return (logits.std(0).mean() / logits.std()).item()


def test_untrained_answers_differ_between_photographs():
    logits = _logits(prepare("fasternet_t0"))
    assert _share_that_varies(logits) > 0.5
    assert logits.argmax(1).unique().numel() > 2


def test_the_deepest_untrained_answers_differ_too():
    deep = prepare("fasternet_l", overrides={"embed_dim": 48})  # all its layers, a quarter as wide
    assert _share_that_varies(_logits(deep, 8)) > 0.5


@torch.no_grad()
def test_each_layer_has_about_unit_variance_on_other_photographs():
    prepared = prepare("fasternet_t0")
    seen = {}
    for name, module in prepared.training.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(lambda _m, _i, out, name=name: seen.update({name: out}))
    photographs = crops(8, seed=1)
    prepared.training(torch.from_numpy(preprocess(photographs, prepared.facts.preprocessing)))
    last = seen.pop("head")
    assert len(seen) == 44
    assert all(0.5 < output.std() < 2 for output in seen.values())
    assert last.mean(0).abs().mean() < last.std()


def test_both_forms_agree_and_are_in_evaluation_mode():
    prepared = prepare("fasternet_t0", **SMALL)
    assert not prepared.training.training
    assert not prepared.deployed.training
    x = images(4, 64)
    with torch.no_grad():
        expected = prepared.training(x)
        error = (prepared.deployed(x) - expected).norm() / expected.norm()
    assert error < 1e-6
    for module in (prepared.training, prepared.deployed):
        assert {parameter.dtype for parameter in module.parameters()} == {torch.float32}
        assert {parameter.device.type for parameter in module.parameters()} == {"cpu"}


def test_the_seed_and_the_input_size_decide_the_weights():
    first = prepare("fasternet_t0", **SMALL).weights
    assert first == prepare("fasternet_t0", **SMALL).weights
    assert first == {"source": "untrained", "seed": 0, "sha256": first["sha256"]}
    other = prepare("fasternet_t0", seed=1, **SMALL).weights
    larger = prepare("fasternet_t0", overrides=TINY).weights
    assert len({weights["sha256"] for weights in (first, other, larger)}) == 3


def test_layer_scale_survives_the_untrained_weights():
    prepared = prepare("fasternet_t0", input_size=(64, 64), overrides=TINY | {"layer_scale": 0.25})
    assert prepared.training.stages[0].blocks[0].layer_scale.tolist() == [0.25] * 16


def test_threads_are_given_back():
    threads = torch.get_num_threads()
    prepare("fasternet_t0", **SMALL)
    assert torch.get_num_threads() == threads


@pytest.mark.slow
@pytest.mark.parametrize("capability", ["default", "avx2"])
def test_another_processor_makes_the_same_bytes(capability):
    code = (
        "from lightmobile.models import prepare; print(prepare('fasternet_t0').weights['sha256'])"
    )
    isa = {"default": ("SSE41", "SSE4_2"), "avx2": ("AVX2", "AVX2")}[capability]
    names = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS")
    run = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | dict(zip(names, (capability, *isa), strict=True)),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert run.stdout.strip() == prepare("fasternet_t0").weights["sha256"]


def test_a_checkpoint_is_recorded_by_name_and_hash(tmp_path):
    path = tmp_path / "mine.pth"
    torch.save(tiny().state_dict(), path)
    prepared = prepare("fasternet_t0", checkpoint=path, **SMALL)
    assert WeightSource(**prepared.weights) == WeightSource(
        source="checkpoint",
        checkpoint="mine.pth",
        checkpoint_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        sha256=weights_sha256(prepared.deployed.state_dict()),
    )
    with torch.no_grad():
        assert torch.equal(prepared.training(images()), tiny()(images()))


@torch.no_grad()
def test_the_deployed_weights_survive_a_file(tmp_path):
    prepared = prepare("fasternet_t0", **SMALL)
    path = tmp_path / "deployed.safetensors"
    save_deployed(prepared, path)
    loaded = load_deployed(prepared.name, prepared.overrides, path)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    assert not loaded.training
    assert weights_sha256(loaded.state_dict()) == prepared.weights["sha256"]
    assert torch.equal(loaded(images(2, 64)), prepared.deployed(images(2, 64)))


def test_weights_that_cannot_be_written_say_so(tmp_path):
    with pytest.raises(UsageError, match="cannot be written"):
        save_deployed(prepare("fasternet_t0", **SMALL), tmp_path / "absent" / "w.safetensors")


def test_the_hash_sees_names_shapes_types_and_bytes():
    state = {"b": torch.zeros(2, 3), "a": torch.ones(1)}
    sha256 = weights_sha256(state)
    assert sha256 == weights_sha256(dict(reversed(state.items())))
    for changed in (
        {"b": torch.zeros(3, 2), "a": torch.ones(1)},
        {"b": torch.zeros(2, 3).int(), "a": torch.ones(1)},
        {"c": torch.zeros(2, 3), "a": torch.ones(1)},
        {"b": -torch.zeros(2, 3), "a": torch.ones(1)},
    ):
        assert weights_sha256(changed) != sha256


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input_size": (16, 224)}, "fasternet_t0 cannot take an input of 16x224"),
        ({"seed": -1}, "seed -1 is negative"),
        ({"checkpoint": "absent.pth"}, "absent.pth cannot be read"),
        ({"overrides": {"wings": 2}}, "wings"),
    ],
)
def test_what_cannot_be_prepared_says_why(options, message):
    with pytest.raises(UsageError, match=message):
        prepare("fasternet_t0", **options)
