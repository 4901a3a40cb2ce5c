import pytest
import torch
from torch import nn

from lightmobile.export.verification.metrics import BARS, sqnr_db
from lightmobile.models import complexity, create_model, fuse, model_info, prepare
from lightmobile.models.photographs import crops
from lightmobile.models.preprocessing import preprocess
from tests.models.norms import randomize_norms


# Counted by the archived reference tool, of which these are the published figures.
@pytest.mark.parametrize(
    ("variant", "acts"),
    [
        ("b0", 6_748_036),
        ("b1", 10_884_328),
        ("b2", 13_832_834),
        ("b3", 23_831_296),
        ("b4", 49_489_032),
        ("b5", 98_857_400),
    ],
)
def test_the_original_compound_rule(variant, acts):
    name = f"efficientnet_{variant}"
    published, cost = model_info(name).published, complexity(name)
    assert cost.flops == published["macs"]
    assert cost.params == published["params"]
    assert cost.activations == acts


def tiny():
    torch.manual_seed(0)
    widths = (8, 16, 16, 24, 24, 32, 32)
    depths = (1, 1, 1, 1, 1, 1, 2)
    return create_model(
        "efficientnet_b0", depths=depths, widths=widths, stem_width=8, head_width=32, num_classes=5
    )


def test_the_deployed_form_computes_the_same():
    model = randomize_norms(tiny()).eval()
    deployed = fuse(model)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in deployed.modules())
    images = torch.randn(2, 3, 64, 48)
    with torch.no_grad():
        expected, actual = model(images), deployed(images)
    assert expected.shape == (2, 5)
    assert torch.linalg.norm(actual - expected) <= 1e-5 * torch.linalg.norm(expected)


def test_a_block_has_a_shortcut_only_where_shapes_agree():
    stages = tiny().stages
    assert stages[0][0].shortcut  # stem and first stage are equally wide here
    assert not stages[1][0].shortcut
    assert stages[6][1].shortcut


def test_timm_names_map_to_ours_and_back():
    with torch.device("meta"):
        model = create_model("efficientnet_b0")
    state = model.state_dict()
    timm = model.key_maps["timm"].to_theirs(state)
    assert {
        "conv_stem.weight",
        "bn1.running_var",
        "blocks.0.0.conv_pw.weight",
        "blocks.1.0.conv_pwl.weight",
        "blocks.6.0.se.conv_expand.bias",
        "blocks.6.0.bn3.weight",
        "conv_head.weight",
        "bn2.bias",
        "classifier.bias",
    } <= set(timm)
    assert len(timm) == len(state)
    assert model.key_maps["timm"].to_ours(timm).keys() == state.keys()


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["efficientnet_b0", "mobilenet_v4_conv_small", "mobilevit_xxs", "regnetz_500mf", "starnet_s1"],
)
def test_untrained_weights_leave_fp16_enough_of_what_varies(name):
    prepared = prepare(name)
    images = preprocess(crops(24, prepared.facts.input_size), prepared.facts.preprocessing)
    with torch.no_grad():
        full = [prepared.deployed(part) for part in torch.from_numpy(images).split(4)]
        halved = prepared.deployed.half()
        half = [halved(part.half()).float() for part in torch.from_numpy(images).split(4)]
    assert sqnr_db(torch.cat(full).numpy(), torch.cat(half).numpy()) >= BARS["fp16"].sqnr_db
