"""VanillaNet: the published counts and vectors, what fusing keeps, and a training that fades."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from lightmobile.errors import UsageError
from lightmobile.models import complexity, create_model, fuse, load_checkpoint
from lightmobile.models.layers.adaptive_max_pool import AdaptiveMaxPool2d
from lightmobile.models.layers.deep_training import (
    FadingActivation,
    lambda_schedule,
    set_lambda,
)
from lightmobile.models.layers.exact import exact_product
from lightmobile.models.layers.series_activation import SeriesActivation, series_activation
from lightmobile.models.vanillanet import VanillaNet
from tests.models.norms import randomize_norms

# Of the authors' code: parameters and keys of the training and the deployed form, and MACs.
COUNTS = {
    "5": (22_328_800, 15_523_304, 89, 18, 8_450_519_616, 5_161_185_280),
    "6": (56_116_704, 32_509_416, 109, 22, 10_104_521_280, 5_993_103_360),
    "7": (56_670_176, 32_797_672, 129, 26, 11_827_364_416, 6_893_862_912),
    "8": (65_175_520, 37_096_424, 149, 30, 13_491_200_576, 7_735_615_488),
    "9": (73_680_864, 41_395_176, 169, 34, 15_155_036_736, 8_577_368_064),
    "10": (82_186_208, 45_693_928, 189, 38, 16_818_872_896, 9_419_120_640),
    "11": (90_691_552, 49_992_680, 209, 42, 18_482_709_056, 10_260_873_216),
    "12": (99_196_896, 54_291_432, 229, 46, 20_146_545_216, 11_102_625_792),
    "13": (107_702_240, 58_590_184, 249, 50, 21_810_381_376, 11_944_378_368),
    "13_x1_5": (236_942_048, 127_796_200, 249, 50, 48_745_701_952, 26_548_445_184),
    "13_x1_5_ada_pool": (236_942_048, 127_796_200, 249, 50, 89_966_269_504, 48_982_528_512),
}
SERIES_COUNTS = {
    ("vanillanet_5", 1): (22_021_600, 15_216_104),
    ("vanillanet_5", 2): (22_144_480, 15_338_984),
    ("vanillanet_5", 4): (22_574_560, 15_769_064),
    ("vanillanet_13", 4): (108_488_672, 59_376_616),
}
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "tanh": {"act": "tanh"},
    "no series": {"act_num": 0},
    "n = 1": {"act_num": 1},
    "ada_pool": {"ada_pool": (6, 4, 0)},
    "shortcut before": {"shortcut": "before_act"},
    "shortcut after": {"shortcut": "after_act"},
}


def tiny(**options: Any) -> VanillaNet:
    sizes = {"dims": (8, 16, 16, 16), "strides": (2, 2, 1), "num_classes": 5}
    return VanillaNet(**(sizes | options))


def randomize(model: nn.Module) -> nn.Module:
    """Give norms statistics, and weights a spread, as training would."""
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    return randomize_norms(model).eval()


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(((a - b).norm() / b.norm()).detach())


@pytest.mark.parametrize("depth", COUNTS)
def test_counts_are_the_published_ones(depth: str) -> None:
    with torch.device("meta"):
        training = create_model(f"vanillanet_{depth}")
    deployed = fuse(training)
    both, fused = complexity(training), complexity(deployed)
    assert (
        both.params,
        fused.params,
        len(training.state_dict()),
        len(deployed.state_dict()),
        both.macs,
        fused.macs,
    ) == COUNTS[depth]


@pytest.mark.parametrize(("name", "act_num"), SERIES_COUNTS)
def test_counts_of_other_orders_of_the_series(name: str, act_num: int) -> None:
    with torch.device("meta"):
        training = create_model(name, act_num=act_num)
    params = [sum(p.numel() for p in model.parameters()) for model in (training, fuse(training))]
    assert tuple(params) == SERIES_COUNTS[name, act_num]


@pytest.mark.parametrize("lam", [0.3, 1.0])
def test_reference_vectors(parity_folder: Path, lam: float) -> None:
    reference = torch.load(parity_folder / f"vanillanet_tiny_lam{lam}.pt", weights_only=True)
    model = VanillaNet(**reference["meta"]["kw"]).eval()
    model.load_state_dict(model.key_maps["official"].to_ours(reference["state_dict"]))
    set_lambda(model, lam)
    assert relative(model(reference["x"]), reference["y"]) < 1e-6
    if lam == 1:
        deployed = fuse(model)
        assert relative(deployed(reference["x"]), reference["y_deploy"]) < 1e-6
        ours, theirs = deployed.state_dict(), reference["deploy_state_dict"]
        assert ours.keys() == theirs.keys()
        assert all(torch.allclose(ours[key], theirs[key], atol=1e-6) for key in theirs)


def test_official_checkpoints_load(parity_folder: Path, tmp_path: Path) -> None:
    reference = torch.load(parity_folder / "vanillanet_tiny_lam1.0.pt", weights_only=True)
    sizes = reference["meta"]["kw"]
    for state, deploy, expected in (
        (reference["state_dict"], False, reference["y"]),
        (reference["deploy_state_dict"], True, reference["y_deploy"]),
    ):
        torch.save({"model_ema": state}, tmp_path / "checkpoint.pth")
        model = create_model("vanillanet_5", tmp_path / "checkpoint.pth", deploy=deploy, **sizes)
        assert relative(model.eval()(reference["x"]), expected) < 1e-6


def test_keys_round_trip() -> None:
    model = tiny()
    keys = model.key_maps["official"]
    theirs = keys.to_theirs(model.state_dict())
    assert {"stem1.0.weight", "stem2.2.bn.weight", "stages.1.conv2.0.bias", "cls2.0.bias"} <= set(
        theirs
    )
    assert keys.to_ours(theirs).keys() == model.state_dict().keys()


@pytest.mark.parametrize("variant", VARIANTS)
def test_fused_equals_training_form(variant: str) -> None:
    model = randomize(tiny(**VARIANTS[variant]))
    images = torch.randn(2, 3, 40, 48)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    deployed = fuse(model)
    assert relative(deployed(images), model(images)) < 1e-5
    assert relative(fuse(model.double())(images.double()), model(images.double())) < 1e-12
    assert not any(isinstance(module, nn.BatchNorm2d) for module in deployed.modules())
    model.float()
    assert all(torch.equal(before[key], tensor) for key, tensor in model.state_dict().items())


def test_fuse_refuses_before_the_activations_have_faded(tmp_path: Path) -> None:
    model = tiny()
    set_lambda(model, 0.99)
    with pytest.raises(UsageError, match=r"lambda = 0\.99"):
        fuse(model)
    set_lambda(model, 1)
    torch.save(fuse(model).state_dict(), tmp_path / "deployed.pt")
    with torch.device("meta"):
        again = fuse(tiny())
    load_checkpoint(again, tmp_path / "deployed.pt")


@pytest.mark.parametrize(
    "options",
    [
        {"act": "gelu"},
        {"act_num": -1},
        {"shortcut": "around"},
        {"strides": (2, 2)},
        {"ada_pool": (6, 4)},
    ],
)
def test_impossible_options_are_usage_errors(options: dict[str, Any]) -> None:
    sizes: dict[str, Any] = {"dims": (8, 8, 8, 8), "strides": (2, 2, 1)}
    with pytest.raises(UsageError, match="vanillanet_5 cannot be built"):
        create_model("vanillanet_5", **(sizes | options))


@pytest.mark.parametrize("act", [nn.ReLU, nn.Tanh])
@pytest.mark.parametrize("lam", [0.0, 0.25, 1.0])
def test_fading_activation(act: type[nn.Module], lam: float) -> None:
    fading = FadingActivation(act)
    set_lambda(fading, lam)
    x = torch.linspace(-3, 3, 13)
    torch.testing.assert_close(fading(x), (1 - lam) * act()(x) + lam * x)
    if act is nn.ReLU:
        torch.testing.assert_close(fading(x), nn.functional.leaky_relu(x, lam))


def test_lambda_must_be_a_share() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        set_lambda(tiny(), 1.5)


@pytest.mark.parametrize("curve", ["linear", "cosine"])
def test_schedule_rises_from_0_to_1(curve: Any) -> None:
    lams = [lambda_schedule(epoch, 10, curve) for epoch in range(13)]
    assert lams[0] == 0
    assert lams[5] == pytest.approx(0.5)
    assert lams == sorted(lams)
    assert lams[10:] == [1, 1, 1]
    assert lams[2] == pytest.approx(0.2 if curve == "linear" else (1 - math.cos(math.pi / 5)) / 2)


def test_series_activation_is_the_sum_that_the_paper_writes() -> None:
    series = randomize(series_activation(2, 1, nn.Tanh)).double()
    assert isinstance(series, SeriesActivation)
    series.bn = nn.Identity()
    x = torch.randn(1, 2, 5, 4).double()
    padded = nn.functional.pad(torch.tanh(x), (1, 1, 1, 1))
    expected = sum(
        series.weight[:, 0, i, j][:, None, None] * padded[:, :, i : i + 5, j : j + 4]
        for i in range(3)
        for j in range(3)
    )
    torch.testing.assert_close(series(x), expected)
    assert isinstance(series_activation(2, 0, nn.Tanh), nn.Tanh)


@pytest.mark.parametrize(
    ("length", "size"), [(75, 38), (38, 19), (19, 10), (85, 38), (7, 7), (5, 9)]
)
def test_adaptive_pool_equals_torch(length: int, size: int) -> None:
    x = -1 - torch.rand(2, 3, length, length + 4)
    assert torch.equal(AdaptiveMaxPool2d(size)(x), nn.functional.adaptive_max_pool2d(x, size))


@pytest.mark.parametrize("length", [75, 38, 19])
def test_pools_of_the_published_variant_are_plain(length: int) -> None:
    rows = complexity(
        nn.Sequential(AdaptiveMaxPool2d(math.ceil(length / 2))), input_size=(length, length)
    ).rows
    assert [row.kind for row in rows] == ["max_pool"]


def test_exact_product_does_not_depend_on_the_order() -> None:
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(300, 300, generator=generator).double() for _ in range(2))
    # Rows of b that a's columns make up for, as batch normalisations leave them behind.
    scales = torch.logspace(-6, 6, 300).double()
    a, b = a * scales, b / scales[:, None]
    a[3], b[:, 5] = 0, 0
    order = torch.randperm(300, generator=generator)
    product = exact_product(a, b)
    assert torch.equal(product, exact_product(a[:, order], b[order]))
    assert not torch.equal(a @ b, a[:, order] @ b[order])
    assert relative(product, a @ b) < 2**-24
