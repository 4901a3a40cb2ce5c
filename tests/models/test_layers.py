import pytest
import torch
from torch import nn

from lightmobile.models import fuse
from lightmobile.models.layers.conv_norm import ConvNorm
from lightmobile.models.layers.inverted_residual import InvertedResidual
from lightmobile.models.layers.squeeze_excite import SqueezeExcite
from tests.models.norms import randomize_norms


@pytest.mark.parametrize("act", [None, nn.ReLU, nn.SiLU])
@pytest.mark.parametrize(("stride", "groups"), [(1, 1), (2, 4), (2, 8)])
def test_a_fused_block_is_one_convolution(act, stride, groups):
    block = (
        randomize_norms(ConvNorm(8, 8, 3, stride=stride, groups=groups, act=act)).eval().double()
    )
    deployed = fuse(block)
    assert set(deployed.state_dict()) == {"conv.weight", "conv.bias"}
    x = torch.randn(2, 8, 9, 7, dtype=torch.float64)
    torch.testing.assert_close(deployed(x), block(x), rtol=0, atol=1e-12)


def test_squeeze_and_excitation_weighs_channels_between_0_and_1():
    torch.manual_seed(0)
    layer = SqueezeExcite(6, 2)
    x = torch.rand(2, 6, 5, 4) + 0.1
    ratio = layer(x) / x
    weights = ratio.mean((2, 3), keepdim=True)
    assert torch.allclose(ratio, weights.expand_as(ratio))
    assert ((weights > 0) & (weights < 1)).all()


@pytest.mark.parametrize(
    ("out_channels", "stride", "shortcut"), [(8, 1, True), (8, 2, False), (12, 1, False)]
)
def test_an_inverted_residual_has_a_shortcut_only_where_shapes_agree(
    out_channels, stride, shortcut
):
    block = InvertedResidual(
        8, out_channels, expansion=2, kernel_size=3, stride=stride, act=nn.ReLU6, se=True
    )
    # A shortcut adds the input itself, whatever the branch makes of it.
    nn.init.zeros_(block.project.bn.weight)
    x = torch.randn(2, 8, 6, 4)
    y = block(x)
    assert y.shape == (2, out_channels, 6 // stride, 4 // stride)
    assert torch.equal(y, x) if shortcut else not y.any()
