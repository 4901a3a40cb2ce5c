import pytest
import torch
from torch import nn

from lightmobile.errors import UsageError
from lightmobile.models import create_model
from tests import zoo


def test_a_linear_block_has_a_shortcut_only_where_shapes_agree():
    options = zoo.REGNET | {"depths": (1, 1, 1, 2)}
    last = create_model("regnetz_500mf", **options).stages[3]
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
        create_model("regnety_400mf", **(zoo.REGNET | options))
