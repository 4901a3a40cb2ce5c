import pytest
import torch
from torch import nn

from lightmobile.errors import UsageError
from lightmobile.models import create_model, fuse
from tests.models.norms import randomize_norms

TINY = {"depths": (1, 1, 1, 2), "widths": (8, 16, 24, 32), "num_classes": 5}
NAMES = ["regnety_400mf", "regnetz_500mf"]


def tiny(name, group_width=4):
    torch.manual_seed(0)
    return create_model(name, group_widths=(group_width,) * 4, **TINY)


@pytest.mark.parametrize("name", NAMES)
def test_the_deployed_form_computes_the_same(name):
    model = randomize_norms(tiny(name)).eval()
    deployed = fuse(model)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in deployed.modules())
    images = torch.randn(2, 3, 64, 48)
    with torch.no_grad():
        expected, actual = model(images), deployed(images)
    assert expected.shape == (2, 5)
    assert torch.linalg.norm(actual - expected) <= 1e-5 * torch.linalg.norm(expected)


def test_a_linear_block_has_a_shortcut_only_where_shapes_agree():
    last = tiny("regnetz_500mf").stages[3]
    assert last[0].downsample is None
    assert isinstance(last[1].downsample, nn.Identity)
    assert isinstance(last[1].act, nn.Identity)
    # A shortcut adds the input itself, whatever the branch makes of it.
    nn.init.zeros_(last[1].conv3.bn.weight)
    x = torch.randn(2, 32, 4, 4)
    assert torch.equal(last[1](x), x)


def test_stages_of_the_paper():
    with torch.device("meta"):
        model = create_model("regnety_4gf")
    assert model.depths == (2, 6, 12, 2)
    assert model.widths == (128, 192, 512, 1088)


def test_timm_names_map_to_ours_and_back():
    with torch.device("meta"):
        model = create_model("regnety_400mf")
    state = model.state_dict()
    timm = model.key_maps["timm"].to_theirs(state)
    assert {
        "stem.conv.weight",
        "s1.b1.conv1.bn.running_mean",
        "s4.b6.se.fc2.bias",
        "s2.b1.downsample.conv.weight",
        "head.fc.weight",
    } <= set(timm)
    assert model.key_maps["timm"].to_ours(timm).keys() == state.keys()


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"group_widths": (3,) * 4}, "groups of 3"),
        ({"widths": (8, 8)}, "zip"),
        ({"wide": 1}, "wide"),
    ],
)
def test_impossible_options_are_usage_errors(options, part):
    with pytest.raises(UsageError, match=part):
        create_model("regnety_400mf", **({"group_widths": (8,) * 4} | TINY | options))
