import pytest
import torch
from torch import nn

from lightmobile.errors import UsageError
from lightmobile.models import complexity, create_model, model_info
from lightmobile.models.layers.fold import fold_norm_before
from lightmobile.models.starnet import StarBlock
from tests.models.norms import randomize_norms


def test_the_star_is_a_product_of_two_projections():
    torch.manual_seed(0)
    block = randomize_norms(StarBlock(4, mlp_ratio=2)).eval()
    x = torch.randn(2, 4, 8, 8)
    y = block.dwconv(x)
    star = block.f1(y).clamp(0, 6) * block.f2(y)
    assert torch.equal(block(x), x + block.dwconv2(block.g(star)))


# The authors' counter adds the norms: up to 2.5 % more MACs.
@pytest.mark.parametrize("variant", ["s1", "s2", "s3", "s4"])
def test_the_published_sizes(variant):
    name = f"starnet_{variant}"
    published, cost = model_info(name).published, complexity(name)
    assert round(cost.params, -5) == published["params"]
    assert 0.97 * published["macs"] < cost.macs < published["macs"]


def test_a_norm_folds_into_the_linear_layer_after_it():
    torch.manual_seed(0)
    norm, linear = randomize_norms(nn.BatchNorm2d(6)).double().eval(), nn.Linear(6, 3).double()
    x = torch.randn(4, 6, 2, 2, dtype=torch.double)
    expected = linear(norm(x).mean((2, 3)))
    actual = fold_norm_before(norm, linear)(x.mean((2, 3)))
    assert torch.allclose(actual, expected, rtol=0, atol=1e-14)
    with pytest.raises(TypeError, match="cannot be folded"):
        fold_norm_before(nn.LayerNorm(6), linear)


@pytest.mark.parametrize("options", [{"depth": 1}, {"depths": None}])
def test_impossible_options_are_usage_errors(options):
    with pytest.raises(UsageError, match="cannot be built"):
        create_model("starnet_s1", **options)
