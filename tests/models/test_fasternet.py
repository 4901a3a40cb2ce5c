import pytest
import torch
from torch import nn

from lightmobile.errors import UsageError
from lightmobile.models import complexity, create_model, fuse
from lightmobile.models.fasternet import FasterNet
from lightmobile.models.layers.drop_path import DropPath
from lightmobile.models.layers.pconv import PConv, TShapedConv
from tests.models.networks import images, tiny
from tests.models.norms import randomize_norms

# Counted on the authors' code: parameters of both forms, MACs, keys of both forms.
COUNTS = {
    "fasternet_t0": (3_905_500, 3_900_660, 335_422_720, 131, 63),
    "fasternet_t1": (7_595_368, 7_587_624, 850_511_872, 131, 63),
    "fasternet_t2": (14_982_888, 14_971_272, 1_904_334_848, 131, 63),
    "fasternet_s": (31_181_032, 31_160_424, 4_549_740_544, 171, 83),
    "fasternet_m": (53_521_464, 53_488_488, 8_721_938_432, 251, 123),
    "fasternet_l": (93_465_192, 93_421_224, 15_494_383_616, 251, 123),
}


@pytest.mark.parametrize("name", COUNTS)
def test_parameters_macs_and_keys_are_the_authors(name):
    params, fused_params, macs, keys, fused_keys = COUNTS[name]
    training, deployed = complexity(name), complexity(name, fused=True)
    assert (training.params, training.macs) == (params, macs)
    assert (deployed.params, deployed.macs) == (fused_params, macs)
    with torch.device("meta"):
        model = create_model(name)
    assert sum(parameter.numel() for parameter in model.parameters()) == params
    assert len(model.state_dict()) == keys
    assert len(fuse(model).state_dict()) == fused_keys


@pytest.fixture
def reference(parity_folder):
    return torch.load(parity_folder / "fasternet_tiny_relu_ls.pt", weights_only=True)


@pytest.fixture
def authors_model(reference):
    options = reference["meta"]["kw"]
    model = FasterNet(
        embed_dim=options["embed_dim"],
        depths=options["depths"],
        act=options["act_layer"].lower(),
        layer_scale=options["layer_scale_init_value"],
        num_classes=options["num_classes"],
        feature_dim=options["feature_dim"],
    )
    model.load_state_dict(reference["state_dict"])
    return model.eval()


@torch.no_grad()
def test_answers_are_the_authors(reference, authors_model):
    x = reference["x"]
    torch.testing.assert_close(authors_model(x), reference["y"], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(fuse(authors_model)(x), reference["y_deploy"], rtol=1e-4, atol=1e-6)
    embedded = authors_model.patch_embed(x)
    for stage, expected in zip(
        [nn.Identity(), *authors_model.stages], reference["intermediates"], strict=True
    ):
        embedded = stage(embedded)
        torch.testing.assert_close(embedded[:, :4], expected, rtol=1e-4, atol=1e-5)


def test_deployed_weights_are_the_authors_with_layer_scale_folded_in(reference, authors_model):
    ours, theirs = fuse(authors_model).state_dict(), reference["deploy_state_dict"]
    scales = {key: theirs.pop(key) for key in list(theirs) if key.endswith("layer_scale")}
    assert scales
    for key, scale in scales.items():
        theirs[key.replace("layer_scale", "mlp.3.weight")] *= scale[:, None, None, None]
    assert ours.keys() == theirs.keys()
    for key, weight in ours.items():
        torch.testing.assert_close(weight, theirs[key], rtol=1e-5, atol=1e-7)


@torch.no_grad()
@pytest.mark.parametrize("act", ["gelu", "relu"])
@pytest.mark.parametrize("layer_scale", [0.0, 0.5])
def test_both_forms_of_pconv_compute_the_same_bits(act, layer_scale):
    options = {"act": act, "layer_scale": layer_scale}
    slicing, split = tiny(pconv="slicing", **options), tiny(pconv="split_cat", **options)
    split.load_state_dict(slicing.state_dict())
    assert torch.equal(slicing(images()), split(images()))
    assert torch.equal(fuse(slicing)(images()), fuse(split)(images()))


@torch.no_grad()
def test_pconv_convolves_the_first_channels_and_keeps_the_rest_and_its_input():
    layer, x = PConv(8, n_div=4), torch.randn(2, 8, 5, 6)
    before = x.clone()
    y = layer(x)
    assert torch.equal(x, before)
    assert torch.equal(y[:, 2:], x[:, 2:])
    torch.testing.assert_close(y[:, :2], layer.partial_conv3(x[:, :2]))


def test_slicing_is_exported_as_slices_and_one_cat():
    program = torch.export.export(fuse(tiny()), (images(),))
    operators = [str(node.target) for node in program.graph.nodes if node.op == "call_function"]
    blocks = operators.count("aten.add.Tensor")
    assert blocks == 3
    assert operators.count("aten.slice.Tensor") == 2 * blocks
    assert operators.count("aten.cat.default") == blocks
    assert not [name for name in operators if "split" in name or "copy" in name or "clone" in name]


@torch.no_grad()
def test_layer_scale_scales_the_branch():
    model, plain = tiny(layer_scale=0.5), tiny()
    for block in model.stages[0].blocks:
        assert torch.equal(block.layer_scale, torch.full((16,), 0.5))
    model.load_state_dict(plain.state_dict(), strict=False)
    x = torch.randn(1, 16, 8, 8)
    branch = plain.stages[0](x) - x
    torch.testing.assert_close(model.stages[0](x), x + 0.5 * branch)


CHOICES = {
    "ReLU": {"act": "relu"},
    "T-shaped": {"t_shaped": True},
    "T-shaped, scaled": {"t_shaped": True, "layer_scale": 0.5, "n_div": 3},
    "depthwise": {"spatial": "dwconv"},
    "norm after every convolution": {"norm": "every"},
    "depthwise, every norm": {"spatial": "dwconv", "norm": "every", "layer_scale": 0.5},
    "T-shaped, every norm": {"t_shaped": True, "norm": "every"},
}


@torch.no_grad()
@pytest.mark.parametrize("choice", CHOICES)
def test_every_choice_fuses_exactly(choice):
    training = randomize_norms(tiny(**CHOICES[choice])).double()
    deployed = fuse(training)
    assert not [module for module in deployed.modules() if isinstance(module, nn.BatchNorm2d)]
    x = images().double()
    torch.testing.assert_close(deployed(x), training(x), rtol=1e-11, atol=1e-11)
    single, expected = fuse(training.float())(x.float()), training(x.float())
    assert (single - expected).norm() / expected.norm() < 1e-5
    assert torch.equal(fuse(deployed)(x), deployed(x))


def test_a_t_shaped_convolution_takes_the_macs_of_its_shape():
    channels, pixels = 16, 64
    pconv, pointwise = PConv(channels), nn.Conv2d(channels, 2 * channels, 1)
    layer = TShapedConv(pconv, pointwise)
    rows = complexity(nn.Sequential(nn.Conv2d(3, channels, 1), layer), (8, 8)).rows
    macs = sum(row.macs for row in rows if row.name != "0")
    assert macs == 6 * channels**2 * pixels
    x = torch.randn(2, channels, 5, 4)
    torch.testing.assert_close(layer(x), pointwise(pconv(x)))


def test_t_shaped_blocks_write_nothing_between_their_convolutions():
    program = torch.export.export(fuse(tiny(t_shaped=True)), (images(),))
    operators = {str(node.target) for node in program.graph.nodes}
    assert not [name for name in operators if "cat" in name]


def test_the_choices_differ_from_t0_in_nothing_else():
    cost = {name: complexity(f"fasternet_t0{name}") for name in ("", "_dw", "_dw_wide", "_relu")}
    plain, wide = cost[""], cost["_dw_wide"]
    spatial = {width * 9 for width in (40, 80, 160, 320)}
    found = {r.params for r in cost["_dw"].rows if r.name.endswith("spatial_mixing")}
    assert found == spatial
    assert cost["_dw"].macs == 303_529_600
    assert wide.macs == pytest.approx(plain.macs, rel=0.005)
    assert (cost["_relu"].macs, cost["_relu"].params) == (plain.macs, plain.params)
    t_shaped = complexity("fasternet_t0_t_shaped")
    assert (t_shaped.macs, t_shaped.params) == (plain.macs, plain.params)


def test_a_norm_after_every_convolution():
    with torch.device("meta"):
        kinds = [type(m) for m in create_model("fasternet_t0_norms").modules()]
    assert kinds.count(nn.BatchNorm2d) == kinds.count(nn.Conv2d)


def test_the_t_shaped_form_has_the_weights_of_the_other():
    deployed = fuse(tiny(t_shaped=True))
    plain, shaped = tiny(), tiny(t_shaped=True)
    assert plain.state_dict().keys() == shaped.state_dict().keys()
    torch.testing.assert_close(deployed(images()), fuse(plain)(images()), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"spatial": "conv"}, "spatial is one of pconv, dwconv"),
        ({"norm": "none"}, "norm is one of middle, every"),
        ({"t_shaped": True, "spatial": "dwconv"}, "t_shaped needs"),
        ({"t_shaped": True, "n_div": 1}, "t_shaped needs"),
    ],
)
def test_impossible_choices(options, reason):
    with pytest.raises(UsageError, match=reason):
        create_model("fasternet_t0", **options)


def test_drop_path_rises_with_depth_and_is_absent_once_deployed():
    with torch.device("meta"):
        model = create_model("fasternet_l")
    rates = [module.rate for module in model.modules() if isinstance(module, DropPath)]
    assert len(rates) == sum((3, 4, 18, 3)) - 1  # the first block's is 0
    assert rates == sorted(rates)
    assert rates[-1] == pytest.approx(0.3)
    assert not [module for module in fuse(model).modules() if isinstance(module, DropPath)]


def test_drop_path_drops_whole_samples_and_keeps_the_mean():
    torch.manual_seed(0)
    layer, x = DropPath(0.25), torch.ones(10_000, 2, 1, 1)
    kept = layer(x)
    assert kept.unique().tolist() == pytest.approx([0, 1 / 0.75])
    assert torch.equal(kept[:, 0], kept[:, 1])
    assert kept.mean() == pytest.approx(1, abs=0.03)
    assert torch.equal(layer.eval()(x), x)


def test_initial_weights_are_the_papers():
    torch.manual_seed(0)
    model = create_model("fasternet_t0")
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear) and module.weight.numel() > 10_000:
            assert module.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert not model.head.bias.any()
