"""ShuffleNetV2: the published counts, torchvision's layout, and the shuffles folded away."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lightmobile.errors import UsageError
from lightmobile.models import complexity, create_model, fuse, model_info
from lightmobile.models.layers.shuffle import interleave, shuffle
from lightmobile.models.layers.unshuffled import UnshuffledStage
from tests.models.norms import randomize_norms

# Deep enough that channels pass several units, with halves that are odd.
TINY: dict[str, Any] = {"depths": (1, 6, 2), "widths": (8, 22, 12), "stem_width": 8}


def tiny(name: str = "shufflenet_v2_x1_5", **overrides: Any) -> nn.Module:
    torch.manual_seed(0)
    options = TINY | {"head_width": 16, "num_classes": 5} | overrides
    return randomize_norms(create_model(name, **options)).eval()


@pytest.mark.parametrize("name", ["shufflenet_v2_x1_5", "shufflenet_v2_x2"])
def test_counts_are_the_published_ones(name: str) -> None:
    published, cost = model_info(name).published, complexity(name)
    assert cost.params == published["params"]
    assert cost.macs == pytest.approx(published["macs"], abs=0.5e6)


def test_folding_the_shuffles_costs_nothing() -> None:
    forms = [complexity(tiny(form=form), (64, 64)) for form in ("folded", "interleaved")]
    deployed = [complexity(fuse(tiny(form=form)), (64, 64)) for form in ("folded", "interleaved")]
    assert len({cost.macs for cost in forms + deployed}) == 1
    assert deployed[0].params == deployed[1].params


@pytest.mark.parametrize(
    ("options", "folded"),
    [({}, True), ({"form": "interleaved"}, False), ({"features_only": True}, False)],
)
def test_shuffles_are_folded_unless_seen(options: dict[str, Any], folded: bool) -> None:
    layers = fuse(tiny(**options)).modules()
    assert any(isinstance(layer, UnshuffledStage) for layer in layers) == folded


@torch.no_grad()
def test_folded_units_copy_each_channel_once() -> None:
    stage = fuse(tiny(depths=(9, 1, 1), widths=(32, 8, 8))).stages[1]
    assert isinstance(stage, UnshuffledStage)
    made = [(branch, i) for branch in range(10) for i in range(16)]
    read = [(branch, i) for pieces in stage.reads for branch, a, b in pieces for i in range(a, b)]
    assert sorted(read) == made


def test_interleaving_is_the_shuffle_of_two_groups() -> None:
    a, b = torch.randn(2, 2, 7, 3, 5)
    expected = F.channel_shuffle(torch.cat((a, b), 1), 2)
    assert torch.equal(interleave(a, b), expected)
    assert torch.equal(shuffle(torch.cat((a, b), 1), 1, 7), expected)


def test_names_are_torchvisions() -> None:
    with torch.device("meta"):
        model = create_model("shufflenet_v2_x1_5")
    theirs = model.key_maps["torchvision"].to_theirs(model.state_dict())
    assert {
        "conv1.0.weight",
        "conv1.1.running_var",
        "stage2.0.branch1.0.weight",
        "stage2.0.branch1.3.bias",
        "stage3.7.branch2.3.weight",
        "stage4.3.branch2.6.weight",
        "conv5.1.bias",
        "fc.weight",
    } <= set(theirs)
    assert not any(key.startswith(("stages.", "stem.", "head.")) for key in theirs)


@pytest.mark.parametrize("options", [{"widths": (8, 15, 8)}, {"form": "transposed"}])
def test_impossible_options_are_usage_errors(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="shufflenet_v2_x2 cannot be built"):
        create_model("shufflenet_v2_x2", **options)
