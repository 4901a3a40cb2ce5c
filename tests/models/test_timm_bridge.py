import sys

import pytest
import torch
from torch import nn

from lightmobile.errors import UsageError
from lightmobile.models import complexity, create_model, fuse, list_models, model_info, prepare
from lightmobile.models.bridges.timm_import import VERSION, import_timm
from tests.conftest import ROOT
from tests.models.norms import randomize_norms
from tests.models.timm_oracle import timm


def test_torchvision_stays_absent():
    assert not any(name.partition(".")[0] == "torchvision" for name in sys.modules)
    assert import_timm() is timm
    from timm.data.transforms import MaybeToTensor

    with pytest.raises(UsageError, match="MaybeToTensor is torchvision's"):
        MaybeToTensor()


def test_the_tested_version_is_the_pinned_one():
    assert timm.__version__ == VERSION
    assert f"timm=={VERSION}" in (ROOT / "requirements" / "tested.txt").read_text()
    assert f"timm=={VERSION} " in (ROOT / "requirements" / "timm.txt").read_text()


def test_a_missing_timm_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UsageError) as told:
        model_info("timm:resnet18")
    assert f"pip install --no-deps timm=={VERSION}" in told.value.fix


def test_models_are_listed_by_pattern():
    assert "timm:mobilenetv4_conv_small" in list_models("timm:mobilenetv4*")
    assert "timm:resnet50.a1_in1k" in list_models("timm:resnet50.*")


def test_the_facts_are_timms():
    facts = model_info("timm:efficientnet_b1.ft_in1k")
    cfg = timm.get_pretrained_cfg("efficientnet_b1.ft_in1k")
    assert facts.input_size == cfg.input_size[1:]
    assert facts.preprocessing.mean == cfg.mean
    assert facts.preprocessing.interpolation == cfg.interpolation
    assert facts.pretrained == "timm/efficientnet_b1.ft_in1k"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("timm:resnet_51", "Did you mean .*timm:resnet51"),
        ("timm:resnet18.none", "has no model 'resnet18.none'"),
        ("timm:hf_hub:timm/resnet18.a1_in1k", "has no model"),
        ("timm:local-dir:/etc", "has no model"),
        ("timm:", "has no model ''"),
    ],
)
def test_names_that_are_none_are_told(name, message):
    with pytest.raises(UsageError, match=message):
        model_info(name)
    with pytest.raises(UsageError, match=message):
        create_model(name)


@pytest.mark.parametrize("option", ["pretrained", "checkpoint_path", "pretrained_cfg_overlay"])
def test_no_option_says_where_weights_come_from(option):
    # pretrained=True of create_model is ours; what reaches timm is what a manifest could hold.
    with pytest.raises(UsageError, match=f"{option} cannot be an option of timm:test_resnet"):
        prepare("timm:test_resnet", overrides={option: "x"})


def test_options_are_timms():
    assert create_model("timm:test_resnet", num_classes=7).network.fc.out_features == 7
    with pytest.raises(UsageError, match="timm cannot build timm:test_resnet with"):
        create_model("timm:test_resnet", colour="red")


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("test_resnet", 0),
        ("test_efficientnet", 0),
        ("test_byobnet", 0),
        ("test_mambaout", 0),
        ("test_coatnet", None),
        ("test_vit", 0),
        ("mobilenetv3_small_050", 0),
        ("densenet121", None),
    ],
)
def test_the_deployed_form_is_exact(name, left):
    torch.manual_seed(0)
    model = randomize_norms(create_model(f"timm:{name}")).double().eval()
    deployed = fuse(model)
    x = torch.randn(1, 3, *model.input_size, dtype=torch.float64)
    with torch.no_grad():
        expected, actual = model(x), deployed(x)
    assert torch.linalg.norm(actual - expected) <= 1e-12 * torch.linalg.norm(expected)
    norms = [
        sum(isinstance(m, nn.BatchNorm2d) for m in form.modules()) for form in (model, deployed)
    ]
    assert norms[1] < norms[0] or norms[0] == 0
    assert left is None or norms[1] == left


def test_the_features_are_those_of_the_last_four_stages():
    model = create_model("timm:test_resnet", features_only=True).eval()
    outputs = model(torch.zeros(1, 3, 64, 96))
    assert [output.shape[2:] for output in outputs] == [(16, 24), (8, 12), (4, 6), (2, 3)]


def test_a_checkpoint_of_timm_loads(tmp_path):
    torch.manual_seed(0)
    source = timm.create_model("test_resnet").eval()
    torch.save(source.state_dict(), tmp_path / "c.pth")
    model = create_model("timm:test_resnet", tmp_path / "c.pth").eval()
    x = torch.randn(1, 3, 64, 64)
    assert torch.equal(model(x), source(x))


def test_untrained_weights_are_the_same_again():
    one, other = (prepare("timm:test_vit") for _ in range(2))
    assert one.weights == other.weights
    assert one.weights["source"] == "untrained"
    assert prepare("timm:test_vit", seed=1).weights["sha256"] != one.weights["sha256"]


def test_a_gamma_that_begins_at_zero_hides_no_branch():
    model = prepare("timm:resnet18", input_size=(64, 64)).training
    assert all((m.weight == 1).all() for m in model.modules() if isinstance(m, nn.BatchNorm2d))


def test_attention_counts_as_matrix_products():
    # 4.5 G of https://github.com/microsoft/Swin-Transformer
    assert round(complexity("timm:swin_tiny_patch4_window7_224").macs / 1e9, 1) == 4.5
