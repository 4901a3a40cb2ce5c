"""MobileNetV1: the published counts, timm's layout and arithmetic, its fused form and features."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from lightmobile.models import complexity, create_model, fuse, model_info
from tests.models.norms import randomize_norms


def tiny(**overrides: Any) -> nn.Module:
    torch.manual_seed(0)
    model = create_model(
        "mobilenet_v1",
        depths=(1, 2, 1, 1, 1),
        widths=(8, 8, 16, 16, 24),
        stem_width=8,
        **overrides,
    )
    return randomize_norms(model).double().eval()


def test_counts_are_the_published_ones() -> None:
    published, cost = model_info("mobilenet_v1").published, complexity("mobilenet_v1")
    # The source rounds, and counts 4.24 M, perhaps with the 1001st class of its checkpoints.
    assert cost.params == pytest.approx(published["params"], rel=2e-3)
    assert cost.macs == pytest.approx(published["macs"], abs=0.5e6)


@torch.no_grad()
def test_fused_equals_training_form() -> None:
    model = tiny(num_classes=5)
    deployed = fuse(model)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in deployed.modules())
    images = torch.randn(2, 3, 64, 48).double()
    torch.testing.assert_close(deployed(images), model(images), rtol=1e-12, atol=1e-12)


@torch.no_grad()
def test_features() -> None:
    features = tiny(features_only=True)(torch.randn(1, 3, 64, 96).double())
    shapes = [tuple(x.shape[1:]) for x in features]
    assert shapes == [(8, 16, 24), (16, 8, 12), (16, 4, 6), (24, 2, 3)]


@torch.no_grad()
def test_it_is_timms() -> None:
    from tests.models.timm_oracle import timm

    model = randomize_norms(create_model("mobilenet_v1")).double().eval()
    theirs = timm.create_model("mobilenetv1_100").double().eval()
    theirs.load_state_dict(model.key_maps["timm"].to_theirs(model.state_dict()))
    images = torch.randn(1, 3, 64, 96).double()
    torch.testing.assert_close(model(images), theirs(images), rtol=1e-12, atol=1e-12)
