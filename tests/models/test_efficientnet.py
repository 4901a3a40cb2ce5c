import pytest
import torch

from lightmobile.export.verification.metrics import BARS, sqnr_db
from lightmobile.models import complexity, model_info, prepare
from lightmobile.models.photographs import crops
from lightmobile.models.preprocessing import preprocess


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


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["efficientnet_b0", "mobilenet_v4_conv_small", "mobilevit_xxs", "regnetz_500mf", "starnet_s1"],
)
def test_untrained_weights_leave_fp16_enough_of_what_varies(name):
    prepared = prepare(name)
    images = preprocess(crops(8, prepared.facts.input_size), prepared.facts.preprocessing)
    with torch.no_grad():
        full = [prepared.deployed(part) for part in torch.from_numpy(images).split(4)]
        halved = prepared.deployed.half()
        half = [halved(part.half()).float() for part in torch.from_numpy(images).split(4)]
    assert sqnr_db(torch.cat(full).numpy(), torch.cat(half).numpy()) >= BARS["fp16"].sqnr_db
