"""ResNet-50: the published counts, timm's layout and arithmetic, its fused form and features."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from lightmobile.models import complexity, create_model, fuse, model_info
from tests.models.norms import randomize_norms


def tiny(**overrides: Any) -> nn.Module:
    torch.manual_seed(0)
    model = create_model("resnet50", depths=(1, 2, 1, 1), width=4, **overrides)
    return randomize_norms(model).double().eval()


def test_counts_are_the_published_ones() -> None:
    published, cost = model_info("resnet50").published, complexity("resnet50")
    assert cost.params == published["params"]
    assert cost.flops == published["macs"]
    assert cost.activations == 11_315_688  # in the same file of the source


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
    assert shapes == [(16, 16, 24), (32, 8, 12), (64, 4, 6), (128, 2, 3)]


@torch.no_grad()
@pytest.mark.slow
def test_it_is_timms() -> None:
    from tests.models.timm_oracle import timm

    model = randomize_norms(create_model("resnet50")).double().eval()
    theirs = timm.create_model("resnet50").double().eval()
    theirs.load_state_dict(model.key_maps["timm"].to_theirs(model.state_dict()))
    images = torch.randn(1, 3, 64, 96).double()
    torch.testing.assert_close(model(images), theirs(images), rtol=1e-12, atol=1e-12)
