import pytest
import torch
from torch import nn

from lightmobile.errors import UsageError
from lightmobile.models import complexity, create_model, model_info
from lightmobile.models.mobilenet_v4 import UniversalInvertedBottleneck
from tests import zoo

NAME = "mobilenet_v4_conv_small"


@pytest.mark.parametrize(
    ("dw_start", "dw_mid", "convolutions"), [(0, 3, 3), (3, 0, 3), (5, 3, 4), (0, 0, 2)]
)
def test_the_four_blocks_that_one_bottleneck_can_be(dw_start, dw_mid, convolutions):
    block = UniversalInvertedBottleneck(
        4, 4, dw_start=dw_start, dw_mid=dw_mid, expansion=2, stride=1
    )
    assert sum(isinstance(module, nn.Conv2d) for module in block.modules()) == convolutions
    # A shortcut adds the input itself, whatever the branch makes of it.
    nn.init.zeros_(block.pw_proj.bn.weight)
    x = torch.randn(2, 4, 6, 6)
    assert torch.equal(block(x), x)


@pytest.mark.parametrize(("dw_start", "dw_mid"), [(0, 3), (5, 0), (3, 5)])
def test_the_last_depthwise_convolution_strides(dw_start, dw_mid):
    block = UniversalInvertedBottleneck(
        4, 6, dw_start=dw_start, dw_mid=dw_mid, expansion=2, stride=2
    )
    assert block(torch.randn(1, 4, 8, 6)).shape == (1, 6, 4, 3)


def test_a_block_without_depthwise_convolutions_cannot_stride():
    with pytest.raises(ValueError, match="nothing to stride"):
        UniversalInvertedBottleneck(4, 4, dw_start=0, dw_mid=0, expansion=2, stride=2)


def test_the_published_size():
    published, cost = model_info(NAME).published, complexity(NAME)
    assert round(cost.params, -4) == published["params"]
    assert round(cost.macs, -7) == published["macs"]


@pytest.mark.parametrize("depths", [(0, 1), (7, 6), (6,)])
def test_impossible_depths_are_usage_errors(depths):
    with pytest.raises(UsageError, match="cannot be built"):
        create_model(NAME, **(zoo.MEMBERS[NAME] | {"depths": depths}))
