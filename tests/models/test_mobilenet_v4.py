import pytest
import torch
from torch import nn

from lightmobile.errors import UsageError
from lightmobile.models import complexity, create_model, fuse, model_info
from lightmobile.models.mobilenet_v4 import UniversalInvertedBottleneck
from tests.models.norms import randomize_norms

NAME = "mobilenet_v4_conv_small"
TINY = {
    "widths": (8, 8, 16, 16),
    "depths": (1, 2),
    "stem_width": 8,
    "head_widths": (24, 32),
    "num_classes": 5,
}


def tiny():
    torch.manual_seed(0)
    return randomize_norms(create_model(NAME, **TINY)).eval()


def test_the_deployed_form_computes_the_same():
    model = tiny()
    deployed = fuse(model)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in deployed.modules())
    images = torch.randn(2, 3, 64, 48)
    with torch.no_grad():
        expected, actual = model(images), deployed(images)
    assert expected.shape == (2, 5)
    assert torch.linalg.norm(actual - expected) <= 1e-5 * torch.linalg.norm(expected)


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


@torch.no_grad()
def test_it_is_timms():
    from tests.models.timm_oracle import timm

    torch.manual_seed(0)
    model = randomize_norms(create_model(NAME)).double().eval()
    theirs = timm.create_model("mobilenetv4_conv_small").double().eval()
    theirs.load_state_dict(model.key_maps["timm"].to_theirs(model.state_dict()))
    images = torch.randn(1, 3, 64, 128).double()
    torch.testing.assert_close(model(images), theirs(images), rtol=1e-9, atol=1e-9)


def test_features_are_those_before_the_head():
    backbone = create_model(NAME, features_only=True, **TINY)
    shapes = [tuple(feature.shape[1:]) for feature in backbone(torch.randn(1, 3, 64, 96))]
    assert shapes == [(8, 16, 24), (8, 8, 12), (16, 4, 6), (16, 2, 3)]


def test_the_published_size():
    published, cost = model_info(NAME).published, complexity(NAME)
    assert round(cost.params, -4) == published["params"]
    assert round(cost.macs, -7) == published["macs"]


@pytest.mark.parametrize("depths", [(0, 1), (7, 6), (6,)])
def test_impossible_depths_are_usage_errors(depths):
    with pytest.raises(UsageError, match="cannot be built"):
        create_model(NAME, **(TINY | {"depths": depths}))
