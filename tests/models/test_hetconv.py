"""HetConv: the reference vectors, its definition, what fusing keeps, and the published counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from lightmobile.errors import UsageError
from lightmobile.models import complexity, create_model, fuse, model_info
from lightmobile.models.backbone import Backbone
from lightmobile.models.hetconv import hetconv_network
from lightmobile.models.layers.hetconv import HetConv, KernelSum
from lightmobile.models.mobilenet_v1 import MobileNetV1
from lightmobile.models.resnet import ResNet
from lightmobile.models.vgg import VGG16
from tests.models.norms import randomize_norms

# VGG-16 for CIFAR-10: MACs, parameters with those that are always zero, and without.
VGG16_COUNTS = {
    1: (313_463_808, 14_987_786, 14_987_786),
    2: (175_051_776, 9_267_722, 8_450_570),
    4: (105_845_760, 5_590_538, 5_181_962),
    8: (71_242_752, 3_751_946, 3_547_658),
    16: (53_941_248, 2_832_650, 2_730_506),
    32: (45_290_496, 2_373_002, 2_321_930),
    64: (40_965_120, 2_143_178, 2_117_642),
}
SHAPES = [(8, 8, 2), (8, 16, 4), (12, 24, 3), (8, 8, 8), (6, 18, 6)]
TINY: dict[str, tuple[type[nn.Module], dict[str, Any]]] = {
    "vgg": (VGG16, {"widths": ((8, 8), (16, 16))}),
    "vgg_se": (VGG16, {"widths": ((8, 8), (16, 16)), "se": True}),
    "resnet": (ResNet, {"depths": (1, 1), "width": 8}),
    "bottleneck": (ResNet, {"depths": (1, 2), "width": 8, "bottleneck": True}),
    "cifar_se": (ResNet, {"depths": (1, 1), "width": 8, "small": True, "se": True}),
    "mobilenet": (MobileNetV1, {"stem_width": 8, "depths": (1, 1), "widths": (16, 16)}),
}
OPERATORS: dict[str, dict[str, Any]] = {
    "standard": {"p": 1},
    "grouped": {"p": 4},
    "pc": {"p": "pc"},
    "shifted": {"p": 4, "arrangement": "shifted"},
    "dense": {"p": 4, "form": "dense"},
    "shifted dense": {"p": 2, "arrangement": "shifted", "form": "dense"},
    "gwc_pwc": {"p": 4, "operator": "gwc_pwc"},
    "dwc_pwc": {"p": "pc", "operator": "gwc_pwc"},
}


def by_definition(layer: HetConv, x: torch.Tensor, stride: int) -> torch.Tensor:
    """Convolve kernel by kernel, as the paper draws the shifted arrangement."""
    outputs = []
    for n, (threes, ones) in enumerate(zip(layer.gwc.weight, layer.pwc.weight, strict=True)):
        kernels = iter(threes)
        total = torch.tensor(0.0, dtype=x.dtype)
        for i in range(x.shape[1]):
            large = (i - n) % layer.pwc.p == 0
            kernel = next(kernels) if large else ones[i]
            total = total + nn.functional.conv2d(
                x[:, i : i + 1], kernel[None, None], stride=stride, padding=int(large)
            )
        outputs.append(total)
    return torch.cat(outputs, 1)


@torch.no_grad()
@pytest.mark.parametrize("p", [2, 4])
@pytest.mark.parametrize("form", ["grouped", "dense"])
def test_reference_vectors(parity_folder: Path, p: int, form: Any) -> None:
    reference = torch.load(parity_folder / f"hetconv_p{p}.pt", weights_only=True)
    layer = HetConv(16, 32, p, form=form)
    layer.load_state_dict(reference["state_dict"])
    for module in (layer, fuse(layer)):
        torch.testing.assert_close(module(reference["x"]), reference["y"])


@torch.no_grad()
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("channels", "filters", "p"), [*SHAPES, (12, 8, 3), (8, 12, 8), (4, 3, 1)])
def test_shifted_is_the_definition(channels: int, filters: int, p: int, stride: int) -> None:
    torch.manual_seed(0)
    layer = HetConv(channels, filters, p, stride=stride, arrangement="shifted").double()
    x = torch.randn(2, channels, 9, 6).double()
    expected = by_definition(layer, x, stride)
    torch.testing.assert_close(layer(x), expected)
    torch.testing.assert_close(fuse(layer)(x), expected)
    layer.form = "dense"
    assert isinstance(fuse(layer), nn.Conv2d)
    torch.testing.assert_close(fuse(layer)(x), expected)


@torch.no_grad()
@pytest.mark.parametrize(("channels", "filters", "p"), SHAPES)
def test_grouped_is_shifted_but_for_the_order_of_channels(
    channels: int, filters: int, p: int
) -> None:
    torch.manual_seed(0)
    shifted = HetConv(channels, filters, p, arrangement="shifted").double()
    grouped = HetConv(channels, filters, p).double()
    inputs = sorted(range(channels), key=lambda i: i % p)
    outputs = sorted(range(filters), key=lambda n: n % p)
    grouped.gwc.weight.copy_(shifted.gwc.weight[outputs])
    grouped.pwc.weight.copy_(shifted.pwc.weight[outputs][:, inputs])
    x = torch.randn(2, channels, 7, 7).double()
    torch.testing.assert_close(grouped(x[:, inputs]), shifted(x)[:, outputs])


@pytest.mark.parametrize("arrangement", ["grouped", "shifted"])
@pytest.mark.parametrize(("channels", "filters", "p"), SHAPES)
def test_a_fused_filter_has_no_tap_twice(
    channels: int, filters: int, p: int, arrangement: Any
) -> None:
    layer = HetConv(channels, filters, p, arrangement=arrangement)
    fused = fuse(layer)
    assert isinstance(fused, KernelSum)
    nonzero = [int(weight.count_nonzero()) for weight in fused.state_dict().values()]
    kernels = filters * channels
    assert nonzero == [9 * kernels // p, kernels - kernels // p]
    layer.form = "dense"
    assert int(fuse(layer).weight.count_nonzero()) == sum(nonzero)


def test_weights_that_do_not_count_do_not_learn() -> None:
    layer = HetConv(8, 8, 4)
    layer(torch.randn(2, 8, 5, 5)).square().sum().backward()
    assert layer.pwc.weight.grad is not None
    assert torch.equal(layer.pwc.weight.grad != 0, layer.pwc.kept() != 0)


@pytest.mark.parametrize(
    ("sizes", "options"),
    [
        ((8, 8, 3), {}),
        ((8, 8, 0), {}),
        ((8, 6, 4), {}),
        ((6, 8, 4), {"arrangement": "shifted"}),
        ((8, 8, 2), {"arrangement": "random"}),
        ((8, 8, 2), {"form": "sparse"}),
    ],
)
def test_impossible_layers(sizes: tuple[int, int, int], options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"does not divide|arrangement is|form is"):
        HetConv(*sizes, **options)


@torch.no_grad()
@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("network", TINY)
def test_fused_equals_training_form(network: str, operator: str) -> None:
    family, sizes = TINY[network]
    torch.manual_seed(0)
    model = hetconv_network(family, **sizes, **OPERATORS[operator], num_classes=5)
    training = randomize_norms(model).double().eval()
    deployed = fuse(training)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in deployed.modules())
    x = torch.randn(2, 3, 32, 32).double()
    torch.testing.assert_close(deployed(x), training(x), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("p", VGG16_COUNTS)
def test_vgg16_counts_are_the_published_ones(p: int) -> None:
    name = f"hetconv_vgg16_p{p}"
    macs, stored, params = VGG16_COUNTS[p]
    cost = complexity(name)
    assert (cost.macs, cost.params) == (macs, params)
    with torch.device("meta"):
        model = create_model(name)
    assert sum(parameter.numel() for parameter in model.parameters()) == stored
    # The source prints the cost with something on top: at P = 1, a bias for each output.
    assert model_info(name).published["macs"] == pytest.approx(macs, rel=2.5e-3)


def test_deployed_counts_are_those_of_what_runs() -> None:
    channels = HetConv(16, 32, 4)
    cost = complexity(nn.Sequential(nn.Conv2d(3, 16, 1), channels), (8, 8), fused=True)
    het = [row for row in cost.rows if row.kind == "conv"][1:]
    assert [row.macs for row in het] == [64 * 32 * 4 * 9, 64 * 32 * 16]


def test_mobilenet_of_pairs_is_the_plain_one() -> None:
    with torch.device("meta"):
        model = create_model("hetconv_mobilenet_v1_p32", operator="gwc_pwc", p="pc")
    cost = complexity(model)
    assert (cost.macs, cost.params) == (568_740_352, 4_231_976)


@torch.no_grad()
@pytest.mark.parametrize(
    ("network", "strides"),
    [
        ("vgg_se", (1, 2)),
        ("resnet", (4, 8)),
        ("bottleneck", (4, 8)),
        ("cifar_se", (1, 2)),
        ("mobilenet", (4,)),
    ],
)
def test_a_backbone_has_an_output_for_each_resolution(network: str, strides: tuple[int]) -> None:
    family, sizes = TINY[network]
    features = Backbone(hetconv_network(family, **sizes, p=4)).eval()(torch.randn(1, 3, 32, 64))
    assert [tuple(x.shape[2:]) for x in features] == [(32 // s, 64 // s) for s in strides]


def test_pc_sees_one_input_by_3x3() -> None:
    with torch.device("meta"):
        model = create_model("hetconv_vgg16_pc")
    parts = [module.gwc for module in model.modules() if isinstance(module, HetConv)]
    assert len(parts) == 12
    assert all(gwc.weight.shape[1] == 1 for gwc in parts)


@pytest.mark.parametrize("options", [{"p": 3}, {"p": 0}, {"operator": "sparse"}, {"p": None}])
def test_impossible_options_are_usage_errors(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="hetconv_vgg16_p4 cannot be built"):
        create_model("hetconv_vgg16_p4", **options)
