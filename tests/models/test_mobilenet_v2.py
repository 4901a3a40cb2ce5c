"""MobileNetV2: the published counts, timm's layout and arithmetic, its fused form and features."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from lightmobile.models import complexity, create_model, fuse, model_info
from tests.models.norms import randomize_norms

TIMM = {"mobilenet_v2": "mobilenetv2_100", "mobilenet_v2_x1_4": "mobilenetv2_140"}


def tiny(**overrides: Any) -> nn.Module:
    torch.manual_seed(0)
    model = create_model(
        "mobilenet_v2",
        depths=(1, 1, 1, 1, 1, 1, 2),
        widths=(8, 8, 16, 16, 24, 24, 32),
        stem_width=8,
        head_width=32,
        **overrides,
    )
    return randomize_norms(model).double().eval()


@pytest.mark.parametrize(
    ("name", "params", "macs"),
    [
        ("mobilenet_v2", 3_504_872, 300_774_272),
        ("mobilenet_v2_x1_4", 6_108_776, 582_195_824),
    ],
)
def test_counts_are_the_published_ones(name: str, params: int, macs: int) -> None:
    published, cost = model_info(name).published, complexity(name)
    assert (cost.params, cost.macs) == (params, macs)
    assert params == pytest.approx(published["params"], rel=2e-3)
    # That table counts 3 % more.
    assert macs == pytest.approx(published["macs"], rel=0.035)


@torch.no_grad()
def test_fused_equals_training_form() -> None:
    model = tiny(num_classes=5)
    deployed = fuse(model)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in deployed.modules())
    images = torch.randn(2, 3, 64, 48).double()
    torch.testing.assert_close(deployed(images), model(images), rtol=1e-12, atol=1e-12)


def test_a_block_has_a_shortcut_only_where_shapes_agree() -> None:
    stages = tiny().stages
    assert [stage[0].shortcut for stage in stages] == [True] + [False] * 6
    assert stages[6][1].shortcut


@torch.no_grad()
def test_features() -> None:
    features = tiny(features_only=True)(torch.randn(1, 3, 64, 96).double())
    shapes = [tuple(x.shape[1:]) for x in features]
    assert shapes == [(8, 16, 24), (16, 8, 12), (24, 4, 6), (32, 2, 3)]


@torch.no_grad()
@pytest.mark.parametrize("name", TIMM)
def test_it_is_timms(name: str) -> None:
    from tests.models.timm_oracle import timm

    model = randomize_norms(create_model(name)).double().eval()
    theirs = timm.create_model(TIMM[name]).double().eval()
    theirs.load_state_dict(model.key_maps["timm"].to_theirs(model.state_dict()))
    images = torch.randn(1, 3, 64, 96).double()
    torch.testing.assert_close(model(images), theirs(images), rtol=1e-12, atol=1e-12)
