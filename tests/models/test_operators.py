"""Operators as models: what they compute and what they cost, by hand."""

import pytest
import torch

from lightmobile.errors import UsageError
from lightmobile.models import complexity, create_model, fuse, list_models, model_info
from lightmobile.models.operators import KINDS
from lightmobile.models.untrained import initialize

C, P = 16, 8 * 8  # channels and pixels
FLOATS = 4
# MACs and ideal bytes of one layer of 16 channels at 8x8.
BY_HAND = {
    "conv": (P * 9 * C * C, FLOATS * (2 * C * P + 9 * C * C)),
    "gconv,groups=2": (P * 9 * C * C // 2, FLOATS * (2 * C * P + 9 * C * C // 2)),
    "dwconv": (P * 9 * C, FLOATS * (2 * C * P + 9 * C)),
    # A quarter of the channels, and only these.
    "pconv": (P * 9 * (C // 4) ** 2, FLOATS * (2 * C // 4 * P + 9 * (C // 4) ** 2)),
    "pconv,n_div=2": (P * 9 * (C // 2) ** 2, FLOATS * (2 * C // 2 * P + 9 * (C // 2) ** 2)),
    "pconv,form=split_cat": (P * 9 * 16, FLOATS * (2 * 4 * P + 9 * 16)),
    "pwconv": (P * C * C, FLOATS * (2 * C * P + C * C)),
    "pconv_pwconv": (P * (9 * 16 + C * C), FLOATS * (2 * 4 * P + 2 * C * P + 9 * 16 + C * C)),
    # 3x3 of a quarter to all, 1x1 of the rest to all, and their sum; merging gives a bias.
    "pconv_pwconv,form=t_shaped": (
        P * (9 * 4 * C + 12 * C),
        FLOATS * ((4 + C) * P + (12 + C) * P + 3 * C * P + 9 * 4 * C + 12 * C + C),
    ),
    "dwconv_pwconv": (P * (9 * C + C * C), FLOATS * (4 * C * P + 9 * C + C * C)),
    "dwconv_pwconv,widen=2": (
        P * (2 * C * 2 * C + 9 * 2 * C),
        FLOATS * (2 * 3 * C * P + 4 * C * P + 2 * 2 * C * C + 9 * 2 * C),
    ),
    "gconv_pwconv,groups=4": (
        P * (9 * C * C // 4 + C * C),
        FLOATS * (4 * C * P + 9 * C * C // 4 + C * C),
    ),
    # The sum of two convolutions, one of which has a bias.
    "hetconv,p=4": (
        P * (9 * C * C // 4 + C * C),
        FLOATS * (4 * C * P + 3 * C * P + 9 * C * C // 4 + C * C + C),
    ),
    "series_activation,n=2": (P * 25 * C, FLOATS * (2 * C * P + 25 * C + C)),
    "add": (0, FLOATS * 3 * C * P),
}


@pytest.mark.parametrize("operator", BY_HAND)
def test_macs_and_ideal_bytes_are_the_hand_counts(operator):
    kind, _, options = operator.partition(",")
    name = f"op:{kind},channels={C},size=8,layers=1" + (f",{options}" if options else "")
    cost = complexity(name, fused=True)
    assert (cost.macs, cost.ideal_bytes) == BY_HAND[operator]


# FasterNet's author, in MFLOPs of ten layers at the four sizes (facts of issue 1; DWConv derived).
@pytest.mark.parametrize(
    ("kind", "mflops"),
    [
        ("conv", (2601, 2601, 2601, 2601)),
        ("pconv", (162.6, 162.6, 162.6, 162.6)),
        ("pwconv", (289.0, 289.0, 289.0, 289.0)),
        ("pconv_pwconv", (451, 451, 451, 451)),
        ("dwconv", (27.1, 13.5, 6.8, 3.4)),
    ],
)
def test_the_papers_operators_cost_what_the_paper_says(kind, mflops):
    for (channels, size), expected in zip(
        ((96, 56), (192, 28), (384, 14), (768, 7)), mflops, strict=True
    ):
        cost = complexity(f"op:{kind},channels={channels},size={size},layers=10", fused=True)
        assert cost.macs / 1e6 == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("kind", KINDS)
def test_a_stack_keeps_its_shape_and_fuses_to_the_same(kind):
    name = f"op:{kind},channels=16,size=6,layers=2"
    facts = model_info(name)
    assert facts.preprocessing.channels == 16
    with torch.device("meta"):
        net = create_model(name)
    initialize(net, facts)
    x = torch.randn(2, 16, 6, 6, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before, after = net(x), fuse(net)(x)
    assert before.shape == x.shape
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-5)


def test_they_are_listed_by_their_prefix():
    assert list_models("op:*") == sorted(f"op:{kind}" for kind in KINDS)
    assert list_models("op:p*conv") == ["op:pconv", "op:pconv_pwconv", "op:pwconv"]
    assert not any(name.startswith("op:") for name in list_models())


@pytest.mark.parametrize(
    "name",
    [
        "op:",
        "op:pcomv",
        "op:pconv,channels=0",
        "op:pconv,size=0",
        "op:pconv,size=1x2x3",
        "op:pconv,layers=99999999",
        "op:pconv,channels=true",
        "op:dwconv,n_div=4",
        "op:pconv,resolution=7",
    ],
)
def test_what_is_no_operator_is_told(name):
    with pytest.raises(UsageError):
        model_info(name)


@pytest.mark.parametrize(
    "name",
    ["op:pconv,form=t_shaped", "op:gconv,groups=7", "op:hetconv,p=5", "op:pconv,n_div=4000"],
)
def test_what_cannot_be_built_is_told(name):
    with pytest.raises(UsageError, match="cannot be built"):
        create_model(name)


def test_other_channels_than_colours_are_shifted_photographs():
    import numpy as np

    from lightmobile.models.preprocessing import preprocess

    recipe = model_info("op:pconv,channels=8,size=4").preprocessing
    images = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
    features = preprocess(images, recipe)
    assert features.shape == (2, 8, 4, 4)
    assert np.array_equal(features[:, 3:6], np.roll(features[:, :3], 1, axis=3))
    assert len({channel.tobytes() for channel in features[0]}) == 8
