import json

import pytest
import torch
from torch import nn

from lightmobile.errors import UsageError
from lightmobile.models import complexity, create_model, describe, fuse, list_models, model_info
from tests import zoo
from tests.models.networks import tiny


def test_the_rows_of_a_small_network_by_hand():
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 8, 3, padding=1, groups=8),
        nn.Flatten(),
        nn.Linear(8 * 4 * 4, 10),
    )
    conv, norm, relu, pool, depthwise, linear = complexity(model, (8, 8)).rows
    assert (conv.name, conv.kind, conv.shape) == ("0", "conv", (1, 8, 8, 8))
    assert (conv.macs, conv.params, conv.activations) == (8 * 64 * 27, 8 * 27, 8 * 64)
    assert conv.bytes == 4 * (3 * 64 + 8 * 27 + 8 * 64)
    assert (norm.macs, norm.params, norm.activations) == (0, 16, 0)
    assert norm.bytes == 4 * (2 * 8 * 64 + 4 * 8)  # weight, bias and both statistics
    assert (relu.kind, relu.bytes) == ("relu", 4 * 2 * 8 * 64)
    assert (pool.kind, pool.macs, pool.activations) == ("max_pool", 0, 8 * 16)
    assert pool.bytes == 4 * (8 * 64 + 8 * 16)
    assert (depthwise.macs, depthwise.params) == (8 * 16 * 9, 8 * 9 + 8)
    assert (linear.kind, linear.macs, linear.activations) == ("linear", 1280, 10)
    assert linear.bytes == 4 * (128 + 1290 + 10)


def test_sums_are_over_the_rows():
    cost = complexity("fasternet_t0")
    for figure in ("macs", "params", "activations", "bytes"):
        assert getattr(cost, figure) == sum(getattr(row, figure) for row in cost.rows) > 0


def test_a_slice_moves_nothing_and_a_cat_reads_and_writes_all():
    rows = {(row.name, row.kind): row for row in complexity("fasternet_t0", fused=True).rows}
    block = "stages.0.blocks.0.spatial_mixing"
    assert rows[f"{block}.partial_conv3", "conv"].bytes == 4 * (2 * 10 * 56**2 + 900)
    assert rows[block, "cat"].bytes == 4 * 2 * 40 * 56**2
    assert not [kind for _, kind in rows if "slice" in kind]


@pytest.mark.parametrize("name", zoo.one_of_each_family(list_models()))
def test_a_name_and_its_module_cost_the_same(name):
    with torch.device("meta"):
        model = create_model(name)
    size = model_info(name).input_size
    for fused in (False, True):
        cost = complexity(name, fused=fused)
        assert cost == complexity(model, size, fused=fused)
        form = fuse(model) if fused else model
        # HetConv declares the weights that are always zero.
        zeros = sum(getattr(module, "zeros", 0) for module in form.modules())
        assert cost.params == sum(parameter.numel() for parameter in form.parameters()) - zeros


def test_a_shared_parameter_counts_once_and_its_work_twice():
    layer = nn.Conv2d(3, 3, 1)
    cost = complexity(nn.Sequential(layer, layer), (4, 4))
    assert (cost.params, cost.macs) == (12, 2 * 16 * 9)


def test_the_module_stays_as_it_is():
    model = tiny().train()
    structure = repr(model)
    complexity(model, (32, 32), fused=True)
    assert repr(model) == structure
    assert model.training
    assert not any(parameter.is_meta for parameter in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())


def test_a_larger_input_costs_in_proportion():
    assert complexity("fasternet_t0", (448, 448)).activations == pytest.approx(
        4 * complexity("fasternet_t0").activations, rel=0.01
    )


def test_an_unknown_name_is_a_usage_error():
    with pytest.raises(UsageError, match="fasternet_t0"):
        complexity("fasternet_tO")


def test_info_is_plain_json():
    info = describe("fasternet_t0")
    assert json.loads(json.dumps(info)) == info
    figures = ["training", "fused", "published"]
    assert list(info) == ["name", "family", "input_size", *figures, "source", "paper"]
    cost = {"params": 3_905_500, "macs": 335_422_720, "activations": 1_970_120}
    assert info["training"] == cost
    assert info["fused"] == cost | {"params": 3_900_660}
    assert info["published"] == {"params": 3_900_000, "macs": 340_000_000, "top1": 71.9}
