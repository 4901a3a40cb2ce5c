"""Networks of ours that timm has too compute what timm's do."""

import pytest
import torch
from torch import nn

from lightmobile.models import create_model
from tests import zoo
from tests.models.norms import randomize_norms
from tests.models.timm_oracle import timm

SAME_NAME = (
    *(f"efficientnet_b{i}" for i in range(6)),
    *(f"fasternet_{size}" for size in ("t0", "t1", "t2", "s", "m", "l")),
    *(f"mobilevit_{size}" for size in ("xxs", "xs", "s")),
    "resnet50",
    *(f"starnet_{size}" for size in ("s050", "s100", "s150", "s1", "s2", "s3", "s4")),
)
THEIRS = {name: name for name in SAME_NAME} | {
    "mobilenet_v1": "mobilenetv1_100",
    "mobilenet_v2": "mobilenetv2_100",
    "mobilenet_v2_x1_4": "mobilenetv2_140",
    "mobilenet_v4_conv_small": "mobilenetv4_conv_small",
    "regnety_400mf": "regnety_004",
    "regnety_600mf": "regnety_006",
    "regnety_4gf": "regnety_040",
    "regnetz_500mf": "regnetz_005",
    "regnetz_4gf": "regnetz_040",
}


def their_network(name):
    """Return timm's network on the meta device, without a layer that ours has not."""
    with torch.device("meta"):
        if not name.startswith("regnetz"):
            return timm.create_model(THEIRS[name])
        # ClassyVision ends RegNetZ with a convolution; timm, without it, with an activation.
        model = timm.create_model(THEIRS[name], num_features=0)
        model.final_conv = nn.Identity()
        return model


@torch.no_grad()
@pytest.mark.parametrize("name", zoo.each_at_full_size(THEIRS))
def test_it_is_timms(name):
    torch.manual_seed(0)
    model = randomize_norms(create_model(name)).double().eval()
    theirs = their_network(name).eval()
    theirs.load_state_dict(model.key_maps["timm"].to_theirs(model.state_dict()), assign=True)
    images = torch.randn(1, 3, 64, 128).double()
    torch.testing.assert_close(model(images), theirs(images), rtol=1e-9, atol=1e-9)
