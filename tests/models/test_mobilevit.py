import pytest
import torch
from torch import nn

from lightmobile.errors import UsageError
from lightmobile.models import complexity, create_model, model_info, prepare
from lightmobile.models.mobilevit import Attention
from tests import zoo

TINY = zoo.MEMBERS["mobilevit_xxs"]


def test_attention_is_pytorchs():
    torch.manual_seed(0)
    ours, theirs = Attention(8), nn.MultiheadAttention(8, 4, batch_first=True)
    in_proj = {f"in_proj_{key}": value for key, value in ours.qkv.state_dict().items()}
    theirs.load_state_dict(in_proj | ours.proj.state_dict(prefix="out_proj."))
    x = torch.randn(2, 6, 8)
    assert torch.allclose(ours(x), theirs(x, x, x)[0], atol=1e-6)


def test_a_pixel_attends_to_its_place_in_every_patch():
    block = create_model("mobilevit_xxs", **TINY).stages[2][1]
    block.conv_kxk, block.conv_1x1, block.transformer, block.norm = (
        nn.Identity() for _ in range(4)
    )
    seen = []
    for module in (block.transformer, block.conv_proj):
        module.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    places = torch.arange(24.0).reshape(1, 1, 4, 6).expand(1, 8, 4, 6)
    block(places)
    sequences, folded = seen
    assert sequences.shape == (4, 6, 8)
    assert sequences[0, :, 0].tolist() == [0, 2, 4, 12, 14, 16]
    assert sequences[3, :, 0].tolist() == [7, 9, 11, 19, 21, 23]
    assert torch.equal(folded, places)


def test_an_input_of_broken_patches_is_a_usage_error():
    with pytest.raises(UsageError, match="multiples of 64"):
        prepare("mobilevit_xxs", input_size=(224, 224), overrides=TINY)


# The MACs are of another counter, which adds the norms.
@pytest.mark.parametrize("variant", ["xxs", "xs", "s"])
def test_the_published_sizes(variant):
    name = f"mobilevit_{variant}"
    published, cost = model_info(name).published, complexity(name)
    assert round(cost.params, -5) == published["params"]
    assert 0.96 * published["macs"] < cost.macs < published["macs"]


@pytest.mark.parametrize(
    "options", [{"dims": (6, 8, 8)}, {"widths": (8, 8)}, {"depths": (1, 1)}, {"wide": 1}]
)
def test_impossible_options_are_usage_errors(options):
    with pytest.raises(UsageError, match="cannot be built"):
        create_model("mobilevit_xxs", **(TINY | options))
