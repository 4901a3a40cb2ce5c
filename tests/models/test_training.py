import pytest
import torch

from lightmobile.models import create_model, fuse, prepare
from tests import digits

NAME = "fasternet_t0"
OVERRIDES = {"embed_dim": 16, "depths": (1, 1, 1), "feature_dim": 64, "num_classes": 10}


@pytest.fixture(scope="module")
def trained():
    torch.manual_seed(0)
    model = create_model(NAME, **OVERRIDES)
    digits.train(model, epochs=12)
    return model


def test_a_tiny_fasternet_learns_digits_and_keeps_them_when_fused(trained):
    accuracy = digits.accuracy(trained)
    assert accuracy > 0.9
    assert digits.accuracy(fuse(trained)) == accuracy


def test_its_checkpoint_brings_the_accuracy_back(trained, tmp_path):
    path = tmp_path / "digits.pth"
    torch.save(trained.state_dict(), path)
    prepared = prepare(
        NAME, checkpoint=path, input_size=(digits.SIDE, digits.SIDE), overrides=OVERRIDES
    )
    assert digits.accuracy(prepared.deployed) == digits.accuracy(trained)
