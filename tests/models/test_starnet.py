import pytest
import torch
from torch import nn

from lightmobile.errors import UsageError
from lightmobile.models import complexity, create_model, fuse, model_info
from lightmobile.models.layers.fold import fold_norm_before
from tests.models.norms import randomize_norms

TINY = {"base_width": 4, "depths": (1, 1, 1, 2), "mlp_ratio": 2, "num_classes": 5}


def tiny():
    torch.manual_seed(0)
    return randomize_norms(create_model("starnet_s1", **TINY)).eval()


def test_the_deployed_form_computes_the_same():
    model = tiny()
    deployed = fuse(model)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in deployed.modules())
    images = torch.randn(2, 3, 64, 48)
    with torch.no_grad():
        expected, actual = model(images), deployed(images)
    assert expected.shape == (2, 5)
    assert torch.linalg.norm(actual - expected) <= 1e-5 * torch.linalg.norm(expected)


def test_the_star_is_a_product_of_two_projections():
    block = tiny().stages[0][1]
    x = torch.randn(2, 4, 8, 8)
    y = block.dwconv(x)
    star = block.f1(y).clamp(0, 6) * block.f2(y)
    assert torch.equal(block(x), x + block.dwconv2(block.g(star)))


@torch.no_grad()
@pytest.mark.parametrize("name", ["starnet_s1", "starnet_s050"])
def test_it_is_timms(name):
    from tests.models.timm_oracle import timm

    torch.manual_seed(0)
    model = randomize_norms(create_model(name)).double().eval()
    theirs = timm.create_model(name).double().eval()
    theirs.load_state_dict(model.key_maps["timm"].to_theirs(model.state_dict()))
    images = torch.randn(1, 3, 64, 128).double()
    torch.testing.assert_close(model(images), theirs(images), rtol=1e-9, atol=1e-9)


def test_features_are_those_of_the_four_stages():
    backbone = create_model("starnet_s1", features_only=True, **TINY)
    shapes = [tuple(feature.shape[1:]) for feature in backbone(torch.randn(1, 3, 64, 96))]
    assert shapes == [(4, 16, 24), (8, 8, 12), (16, 4, 6), (32, 2, 3)]


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
