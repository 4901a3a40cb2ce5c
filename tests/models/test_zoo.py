"""What holds for every family: its deployed form, its backbone, and its layouts."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from lightmobile.models import create_model, fuse
from tests import zoo
from tests.models.norms import randomize_norms

# What one block a stage leaves out: blocks that follow another, and the forms of shuffles.
SHUFFLENET = zoo.MEMBERS["shufflenet_v2_x1_5"] | {"widths": (8, 22, 12)}  # odd halves
FORMS = [
    *zoo.MEMBERS.items(),
    ("mobilenet_v4_conv_small", zoo.MEMBERS["mobilenet_v4_conv_small"] | {"depths": (3, 2)}),
    ("regnety_400mf", zoo.REGNET | {"depths": (1, 1, 1, 2)}),
    ("regnetz_500mf", zoo.REGNET | {"depths": (1, 1, 1, 2)}),
    ("resnet50", {"depths": (1, 2, 1, 1), "width": 4}),
    *(
        ("shufflenet_v2_x1_5", SHUFFLENET | {"depths": depths, "form": form})
        for depths in ((1, 1, 1), (1, 6, 2), (3, 2, 9))
        for form in ("folded", "interleaved")
    ),
]
each_member = pytest.mark.parametrize("name", zoo.MEMBERS)


def member(name, options):
    torch.manual_seed(0)
    return randomize_norms(create_model(name, **options)).eval()


def images():
    return torch.randn(2, 3, 64, 128).double()  # MobileViT's patches halve both sides six times


@torch.no_grad()
@pytest.mark.parametrize(("name", "options"), FORMS)
def test_the_deployed_form_computes_the_same(name, options):
    model = member(name, options | {"num_classes": 5}).double()
    deployed = fuse(model)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in deployed.modules())
    x = images()
    expected = model(x)
    assert expected.shape == (2, 5)
    torch.testing.assert_close(deployed(x), expected, rtol=1e-12, atol=1e-12)


@torch.no_grad()
@each_member
def test_a_backbone_has_a_classifiers_weights_and_stages(name, tmp_path):
    classifier = member(name, zoo.MEMBERS[name])
    layout, file = classifier.backbone_layout, tmp_path / "classifier.safetensors"
    save_file(classifier.state_dict(), file)
    backbone = create_model(name, file, features_only=True, **zoo.MEMBERS[name]).eval()
    assert set(backbone.state_dict()) < set(classifier.state_dict())

    stages = classifier.get_submodule(layout.stages)
    steps = [stages[i] if i >= 0 else classifier.get_submodule(layout.stem) for i in layout.taps]
    expected = []
    for step in steps:
        step.register_forward_hook(lambda _, inputs, output: expected.append(output))
    x = images()
    classifier.double()(x)
    features = backbone.double()(x)
    assert len(features) == len(expected)
    for feature, deployed, other in zip(features, fuse(backbone)(x), expected, strict=True):
        assert torch.equal(feature, other)
        torch.testing.assert_close(deployed, feature, rtol=1e-12, atol=1e-12)


@each_member
def test_features_are_of_strides_4_to_32(name):
    with torch.device("meta"):
        features = create_model(name, features_only=True)(torch.empty(1, 3, 64, 128))
    small = name == "hetconv_vgg16_p4"  # for images of 32x32
    strides = (1, 2, 4, 8, 16) if small else (4, 8, 16, 32)
    assert [x.shape[2:] for x in features] == [(64 // s, 128 // s) for s in strides]


@each_member
def test_layouts_map_to_ours_and_back(name):
    with torch.device("meta"):
        model = create_model(name)
    state = dict.fromkeys(model.state_dict())
    for layout in getattr(model, "key_maps", {}).values():
        theirs = layout.to_theirs(state)
        assert len(theirs) == len(state)
        assert list(layout.to_ours(theirs)) == list(state)
