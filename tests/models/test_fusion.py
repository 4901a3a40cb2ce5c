import copy

import pytest
import torch
from torch import nn

from lightmobile.export.verification.metrics import rel_l2
from lightmobile.models import fuse, list_models, model_info, prepare
from lightmobile.models.fasternet import PatchMerging
from lightmobile.models.layers.fold import fold_norm, fold_scale
from lightmobile.models.registry import build
from tests import zoo
from tests.models.networks import images, tiny
from tests.models.norms import randomize_norms


def _norms(model: nn.Module) -> list[nn.Module]:
    return [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]


@torch.no_grad()
@pytest.mark.parametrize("act", ["gelu", "relu"])
@pytest.mark.parametrize("layer_scale", [0.0, 0.5])
def test_the_deployed_form_computes_the_same(act, layer_scale):
    training = tiny(act=act, layer_scale=layer_scale).double()
    deployed = fuse(training)
    assert not deployed.training
    assert _norms(training)
    assert not _norms(deployed)
    x = images().double()
    torch.testing.assert_close(deployed(x), training(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("mode", [True, False])
def test_the_argument_stays_as_it_is(mode):
    training = tiny(layer_scale=0.5, drop_path=0.1).train(mode)
    structure, state = repr(training), copy.deepcopy(training.state_dict())
    modes = [module.training for module in training.modules()]
    deployed = fuse(training)
    for tensor in deployed.state_dict().values():
        tensor.zero_()
    assert repr(training) == structure
    assert [module.training for module in training.modules()] == modes
    assert all(parameter.requires_grad for parameter in training.parameters())
    assert state.keys() == training.state_dict().keys()
    assert all(torch.equal(state[key], tensor) for key, tensor in training.state_dict().items())


@torch.no_grad()
def test_fusing_twice_changes_nothing():
    once = fuse(tiny(layer_scale=0.5))
    twice = fuse(once)
    assert repr(twice) == repr(once)
    assert torch.equal(twice(images()), once(images()))


def test_a_layer_used_twice_stays_one_layer():
    merge = PatchMerging(nn.Conv2d(4, 4, 1, bias=False), nn.BatchNorm2d(4))
    deployed = fuse(nn.ModuleDict({"first": merge, "second": nn.Sequential(merge)}))
    assert deployed["first"] is deployed["second"][0]


@pytest.mark.parametrize("name", list_models())
def test_every_model_fuses_without_memory(name):
    with torch.device("meta"):
        deployed = fuse(build(name, {}))
    assert not _norms(deployed)
    assert all(parameter.is_meta for parameter in deployed.parameters())


@torch.no_grad()
@pytest.mark.parametrize("name", zoo.each_at_full_size(list_models()))
def test_every_model_computes_the_same_deployed(name):
    side = min(64, *model_info(name).input_size)
    # Deep networks of products amplify larger spreads, and then their own rounding errors.
    training = randomize_norms(prepare(name, input_size=(side, side)).training, spread=0.2)
    x = images(size=side)
    assert rel_l2(training(x).numpy(), fuse(training)(x).numpy()) <= 1e-5


@torch.no_grad()
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("groups", [1, 4])
def test_folding_equals_convolution_norm_and_scale(bias, groups):
    torch.manual_seed(0)
    conv = nn.Conv2d(4, 8, 3, stride=2, padding=1, groups=groups, bias=bias).double()
    norm = nn.BatchNorm2d(8, eps=1e-3).double().train()
    for _ in range(3):
        norm(torch.randn(4, 8, 5, 5, dtype=torch.double) * 3 + 1)
    norm.eval()
    nn.init.normal_(norm.weight)
    scale, x = torch.randn(8, dtype=torch.double), torch.randn(2, 4, 7, 7, dtype=torch.double)
    expected = norm(conv(x))
    torch.testing.assert_close(fold_norm(conv, norm)(x), expected)
    scaled = fold_scale(fold_norm(conv, norm), scale)
    torch.testing.assert_close(scaled(x), expected * scale[:, None, None])


def test_a_norm_without_statistics_cannot_be_folded():
    with pytest.raises(TypeError, match="cannot be folded"):
        fold_norm(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2, track_running_stats=False))
