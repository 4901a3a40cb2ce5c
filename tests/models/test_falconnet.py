"""FalconNet has no published vectors: its forms must equal each other, and the definition."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lightmobile.errors import UsageError
from lightmobile.models import complexity, create_model, fuse, model_info
from lightmobile.models.falconnet import (
    FalconNet,
    LightNet,
    MetaBasicBlock,
    depthwise,
    inverted_residual,
    sandglass,
)
from lightmobile.models.fasternet import FasterNetBlock, fasternet_block
from lightmobile.models.layers.conv_norm import ConvNorm
from lightmobile.models.layers.pconv import PConv
from lightmobile.models.layers.receptive_range import receptive_range
from lightmobile.models.layers.ref_co import RefCO
from lightmobile.models.layers.rep_so import RepSO
from lightmobile.models.layers.sf_conv import SFConv, sf_conv, sf_factors
from lightmobile.models.layers.window_conv import WindowConv
from lightmobile.models.untrained import initialize
from tests.models.norms import randomize_norms

# Our own counts, as nothing is published: parameters and MACs of both forms.
COUNTS = {
    "falconnet": (2_536_744, 296_811_520, 1_637_496, 120_543_232),
    "falconnet_dense": (2_536_744, 296_811_520, 4_267_752, 530_581_504),
    "lightnet_meta_light": (4_289_224, 530_581_504, 4_267_752, 530_581_504),
    "lightnet_irb": (5_784_328, 774_662_656, 5_754_024, 774_662_656),
    "lightnet_sandglass": (1_528_408, 84_190_720, 1_519_632, 84_190_720),
    "lightnet_fasternet": (2_943_304, 306_144_256, 2_937_288, 306_144_256),
}
SIZES: dict[str, Any] = {"depths": (1, 2), "width": 8, "head": 16, "num_classes": 5}
SHAPES = [(32, 128), (128, 32), (256, 1024), (24, 96), (6, 10), (16, 16)]
# lambda C outputs of C inputs by a channel operator -> how many inputs each output sees.
RANGES: dict[str, tuple[Callable[[int, int], nn.Module], int]] = {
    "dense": (partial(nn.Conv2d, kernel_size=1), 24),
    "grouped": (partial(nn.Conv2d, kernel_size=1, groups=4), 6),
    "depthwise": (partial(nn.Conv2d, kernel_size=1, groups=24), 1),
    "window of 3": (partial(WindowConv, window=3), 3),
    "window of 8": (partial(WindowConv, window=8), 8),
    "sf": (sf_conv, 24),
    "sf, R = 4": (partial(sf_conv, reduction=4), 24),
    "ref_co": (RefCO, 24),
    "ref_co, dense": (partial(RefCO, form="dense"), 24),
}


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(((a - b).norm() / b.norm()).detach())


@pytest.mark.parametrize("name", COUNTS)
def test_counts(name: str) -> None:
    training, deployed = complexity(name), complexity(name, fused=True)
    counts = (training.params, training.macs, deployed.params, deployed.macs)
    assert counts == COUNTS[name]
    assert not model_info(name).published


# --- RepSO


@torch.no_grad()
@pytest.mark.parametrize("parallel", [1, 3, 5])
def test_repso_is_one_depthwise_convolution(parallel: int) -> None:
    torch.manual_seed(0)
    layer = randomize_norms(RepSO(6, parallel)).double().eval()
    norms = [module for module in layer.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) == parallel + 4
    deployed = fuse(layer)
    assert isinstance(deployed, nn.Conv2d)
    assert (deployed.kernel_size, deployed.groups) == ((3, 3), 6)
    x = torch.randn(2, 6, 9, 7).double()
    assert (deployed(x) - layer(x)).abs().max() <= 1e-12
    assert relative(fuse(layer.float())(x.float()), layer(x.float())) <= 1e-5


def test_repso_has_7_branches() -> None:
    layer = RepSO(4)
    kernels = [tuple(branch.conv.kernel_size) for branch in layer.convs.branches]
    assert sorted(kernels) == [(1, 1), (1, 3), (3, 1), (3, 3), (3, 3), (3, 3)]
    assert isinstance(layer.identity, nn.BatchNorm2d)


@torch.no_grad()
def test_each_branch_of_repso_lands_in_its_place() -> None:
    layer = RepSO(1, parallel=1).double().eval()
    for branch in layer.convs.branches:
        branch.conv.weight.zero_()
    empty = fuse(layer).weight[0, 0]
    places = {(3, 3): 9, (1, 3): 3, (3, 1): 3, (1, 1): 1}
    assert int(empty.count_nonzero()) == 1  # the identity, in the centre
    for branch in layer.convs.branches:
        branch.conv.weight.fill_(1)
        touched = fuse(layer).weight[0, 0] != empty
        branch.conv.weight.zero_()
        height, width = branch.conv.kernel_size
        rows, columns = (3 - height) // 2, (3 - width) // 2
        assert int(touched.sum()) == places[height, width]
        assert touched[rows : 3 - rows, columns : 3 - columns].all()


# --- SF convolution and receptive range


def sf_by_definition(layer: SFConv, x: torch.Tensor, kernel: int) -> torch.Tensor:
    """Compute an SF convolution of pixels [M] as the paper tells it, neuron by neuron."""
    positions = len(x) // kernel
    channels = layer.first.out_channels // positions
    hidden = torch.empty(channels, positions, dtype=x.dtype)
    first = layer.first.weight.reshape(positions, channels, kernel)
    for position, window in enumerate(x.split(kernel)):
        hidden[:, position] = first[position] @ window
    multiplier = layer.second.out_channels // channels
    second = layer.second.weight.reshape(channels, multiplier, positions)
    return torch.cat([second[channel] @ hidden[channel] for channel in range(channels)])


@torch.no_grad()
@pytest.mark.parametrize(("channels", "width"), SHAPES)
def test_sf_convolution_is_the_definition_and_its_dense_equivalent(
    channels: int, width: int
) -> None:
    torch.manual_seed(0)
    layer = sf_conv(channels, width).double()
    pixels = torch.randn(channels, dtype=torch.double)
    kernel = channels // layer.first.groups
    result = layer(pixels[None, :, None, None]).flatten()
    torch.testing.assert_close(result, sf_by_definition(layer, pixels, kernel))
    x = torch.randn(2, channels, 5, 3).double()
    dense = layer.dense()
    assert dense.weight.shape == (width, channels, 1, 1)
    assert (dense(x) - layer(x)).abs().max() <= 1e-12
    assert relative(layer.float().dense()(x.float()), layer(x.float())) <= 1e-5


@pytest.mark.parametrize(("channels", "width"), SHAPES)
def test_the_kernel_makes_the_fewest_weights(channels: int, width: int) -> None:
    def weights(kernel: int | None) -> int:
        return sum(p.numel() for p in sf_conv(channels, width, 2, kernel).parameters())

    counts = {}
    for kernel in range(1, channels + 1):
        try:
            counts[kernel] = weights(kernel)
        except ValueError:
            continue
        assert counts[kernel] == channels * kernel // 2 + width * channels // kernel
    assert weights(None) == min(counts.values())


def test_at_the_best_kernel_the_share_of_the_dense_weights_is_the_formula() -> None:
    channels, width = 32, 128  # K = sqrt(lambda R C) = 16
    first, second = sf_factors(channels, width)
    assert (first, second) == ((32, 16, 2), (16, 128, 8))
    weights = sum(p.numel() for p in sf_conv(channels, width).parameters())
    assert weights / (channels * width) == 2 / 256**0.5


@pytest.mark.parametrize("kernel", [3, 5, 64])
def test_an_impossible_kernel_names_the_possible_ones(kernel: int) -> None:
    with pytest.raises(ValueError, match=r"can have the kernels \[2, 4, 8, 16, 32\], not"):
        sf_conv(32, 128, kernel=kernel)
    with pytest.raises(ValueError, match=r"kernels \[\]"):
        sf_conv(9, 9)


@pytest.mark.parametrize("ratio", [1, 2, 4])
@pytest.mark.parametrize("operator", RANGES)
def test_receptive_ranges(operator: str, ratio: int) -> None:
    make, expected = RANGES[operator]
    layer = make(24, 24 * ratio)
    before = [parameter.clone() for parameter in layer.parameters()]
    assert receptive_range(layer, 24) == expected
    assert all(map(torch.equal, before, layer.parameters()))


def test_receptive_range_of_what_reduces_and_of_what_is_on_the_meta_device() -> None:
    assert receptive_range(WindowConv(24, 6, 3), 24) == 3
    assert receptive_range(RefCO(32, 8), 32) == 32
    first = sf_conv(32, 128).first
    assert receptive_range(first, 32) == 16  # K
    with torch.device("meta"):
        operator = RefCO(32, 128)
    assert receptive_range(operator, 32) == 32


@torch.no_grad()
def test_a_window_slides_over_the_channels_with_one_kernel() -> None:
    layer = WindowConv(6, 12, 3).eval()
    x = torch.randn(2, 6, 4, 5)
    wrapped = F.pad(x.movedim(1, -1).flatten(0, 2)[:, None], (0, 2), mode="circular")
    filters = layer.conv.weight[..., 0]
    expected = F.conv1d(wrapped, filters).flatten(1).unflatten(0, (2, 4, 5)).movedim(-1, 1)
    torch.testing.assert_close(layer(x), expected / (1 + layer.bn.eps) ** 0.5)


@pytest.mark.parametrize("sizes", [(6, 9, 3), (6, 12, 0), (6, 12, 7)])
def test_impossible_windows(sizes: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match=r"divides the other|window is between"):
        WindowConv(*sizes)


# --- RefCO


@torch.no_grad()
@pytest.mark.parametrize("form", ["factors", "dense"])
@pytest.mark.parametrize("branches", [(1, 1), (3, 3), (1, 4), "(C/K, K)"])
@pytest.mark.parametrize(("channels", "width"), [(16, 64), (64, 16)])
def test_refco_is_one_sf_convolution(channels: int, width: int, branches: Any, form: Any) -> None:
    torch.manual_seed(0)
    if branches == "(C/K, K)":
        positions = sf_factors(channels, width)[0].groups
        branches = (positions, channels // positions)
    layer = RefCO(channels, width, branches=branches, form=form)
    counts = (len(layer.first.branches), len(layer.second.branches))
    assert counts == branches
    randomize_norms(layer).double().eval()
    deployed = fuse(layer)
    weights = sum(p.numel() for p in deployed.parameters() if p.ndim > 1)
    if form == "factors":
        assert isinstance(deployed, SFConv)
        assert weights == sum(p.numel() for p in sf_conv(channels, width).parameters())
    else:
        assert isinstance(deployed, nn.Conv2d)
        assert weights == channels * width
    x = torch.randn(2, channels, 5, 4).double()
    torch.testing.assert_close(deployed(x), layer(x), rtol=1e-10, atol=1e-11)
    assert relative(fuse(layer.float())(x.float()), layer(x.float())) <= 1e-5


@pytest.mark.parametrize("branches", [(0, 3), (3, 0)])
def test_refco_needs_a_branch(branches: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="at least one branch"):
        RefCO(16, 64, branches=branches)


# --- Blocks and networks

SPATIAL = {"identity": nn.Identity, "dwconv": depthwise, "pconv": PConv, "rep_so": RepSO}
BLOCKS: dict[str, Callable[[int], nn.Module]] = {
    "irb": inverted_residual,
    "sandglass": sandglass,
    "fasternet": fasternet_block,
    "window": lambda channels: MetaBasicBlock(channels, channel=partial(WindowConv, window=3)),
    "user's": lambda channels: nn.Conv2d(channels, channels, 3, padding=1),
}
FALCONS: dict[str, dict[str, Any]] = {
    "default": {},
    "dense form": {"form": "dense"},
    "meta light": {"s2": "dwconv", "channel": "dense"},
    "pconv everywhere": {"s1": "pconv", "s2": "pconv", "s3": "pconv"},
    "nothing spatial": {"s2": "identity"},
    "rep_so everywhere": {"s1": "rep_so", "s3": "rep_so", "parallel": 1},
    "branches": {"branches": (2, 5), "reduction": 4, "expansion": 2},
}


@torch.no_grad()
@pytest.mark.parametrize("s3", SPATIAL)
@pytest.mark.parametrize("s2", SPATIAL)
@pytest.mark.parametrize("s1", SPATIAL)
def test_every_slot_takes_every_spatial_operator(s1: str, s2: str, s3: str) -> None:
    torch.manual_seed(0)
    block = MetaBasicBlock(8, SPATIAL[s1], SPATIAL[s2], SPATIAL[s3])
    randomize_norms(block).double().eval()
    x = torch.randn(1, 8, 5, 4).double()
    torch.testing.assert_close(fuse(block)(x), block(x), rtol=1e-10, atol=1e-11)
    names = dict(block.branch.named_children())
    assert [place for place in ("s1", "s2", "s3") if place in names] == [
        place for place, slot in (("s1", s1), ("s2", s2), ("s3", s3)) if slot != "identity"
    ]


@torch.no_grad()
def test_the_known_blocks_are_instances_of_the_meta_block() -> None:
    irb = inverted_residual(8).branch
    assert list(dict(irb.named_children())) == ["c1", "act_c1", "s2", "act_s2", "c2"]
    glass = sandglass(8).branch
    assert list(dict(glass.named_children())) == ["s1", "act_s1", "c1", "c2", "act_c2", "s3"]
    torch.manual_seed(0)
    theirs: FasterNetBlock = fasternet_block(8).eval()
    ours = MetaBasicBlock(8, s1=PConv, expansion=2, act_after=("c1",)).eval()
    state = theirs.state_dict()
    keys = {"s1": "spatial_mixing", "c1.conv": "mlp.0", "c1.bn": "mlp.1", "c2.conv": "mlp.3"}
    for key, tensor in ours.state_dict().items():
        for name, theirs_name in keys.items():
            if key.startswith(f"branch.{name}."):
                tensor.copy_(state[key.replace(f"branch.{name}", theirs_name)])
    # Theirs has no norm at the end; ours is at its initial statistics.
    ours.branch.c2.bn.eps = 0.0
    x = torch.randn(2, 8, 6, 6)
    torch.testing.assert_close(ours(x), theirs(x))


def networks() -> dict[str, Callable[[], nn.Module]]:
    light = {name: partial(LightNet, block=block, **SIZES) for name, block in BLOCKS.items()}
    return light | {
        name: partial(FalconNet, **options, **SIZES) for name, options in FALCONS.items()
    }


@torch.no_grad()
@pytest.mark.parametrize("name", networks())
def test_fused_equals_training_form(name: str) -> None:
    torch.manual_seed(0)
    model = networks()[name]()
    training = randomize_norms(model).eval()
    deployed = fuse(training)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in deployed.modules())
    x = torch.randn(2, 3, 64, 48)
    assert relative(deployed(x), training(x)) <= 1e-5
    x = x.double()
    torch.testing.assert_close(fuse(training.double())(x), training(x), rtol=1e-9, atol=1e-10)
    assert training.stem(x).shape == (2, 8, 16, 12)
    assert training.stages(training.stem(x)).shape == (2, 16, 8, 6)


@torch.no_grad()
@pytest.mark.parametrize("name", COUNTS)
def test_untrained_weights_tell_photographs_apart(name: str) -> None:
    sizes = SIZES | {"width": 16, "head": 32}
    with torch.device("meta"):
        model = create_model(name, **sizes)
    initialize(model, model_info(name).at((32, 32)))
    deployed = fuse(model)
    x = torch.randn(3, 3, 32, 32)
    assert relative(deployed(x), model(x)) <= 1e-5
    assert (deployed(x).std(0) > 1e-3).all()


def test_stages_are_the_papers() -> None:
    with torch.device("meta"):
        model = create_model("falconnet")
    stages = [stage for stage in model.stages if isinstance(stage, nn.Sequential)]
    assert [len(stage) for stage in stages] == [3, 3, 9, 3]
    widths = [next(stage[0].children()).c1.first.branches[0].conv.in_channels for stage in stages]
    assert widths == [32, 64, 128, 256]


def test_all_channel_operators_of_falconnet_have_the_full_range() -> None:
    with torch.device("meta"):
        model = create_model("falconnet", depths=(1, 1))
    operators = [module for module in model.modules() if isinstance(module, RefCO)]
    assert len(operators) == 4
    for operator in operators:
        channels = operator.first.branches[0].conv.in_channels
        assert receptive_range(operator, channels) == channels


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"s2": "conv"}, "s2 is one of identity, dwconv, pconv, rep_so"),
        ({"channel": "sparse"}, "channel is one of dense, ref_co"),
        ({"form": "sparse"}, "form is one of factors, dense"),
        ({"parallel": 0}, "at least one 3x3"),
        ({"branches": (0, 1)}, "at least one branch"),
        ({"reduction": 3}, "can have the kernels"),
        ({"deep": 1}, "deep"),
    ],
)
def test_impossible_options_are_usage_errors(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        create_model("falconnet", **options)


def test_any_block_goes_on_lightnet_by_name() -> None:
    model = create_model(
        "lightnet_irb", block=lambda channels: ConvNorm(channels, channels), **SIZES
    )
    assert model(torch.randn(2, 3, 32, 32)).shape == (2, 5)
