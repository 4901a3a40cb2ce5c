import pytest
import torch

from lightmobile.models import fuse, prepare
from tests.models import digits


@pytest.fixture(scope="module")
def trained():
    return digits.train()


def test_a_tiny_fasternet_learns_digits_and_keeps_them_when_fused(trained):
    accuracy = digits.accuracy(trained.model, trained)
    assert accuracy > 0.95
    assert digits.accuracy(fuse(trained.model), trained) == accuracy


def test_its_checkpoint_brings_the_accuracy_back(trained, tmp_path):
    path = tmp_path / "digits.pth"
    torch.save(trained.model.state_dict(), path)
    prepared = prepare(
        digits.NAME, checkpoint=path, input_size=digits.INPUT_SIZE, overrides=digits.OVERRIDES
    )
    assert digits.accuracy(prepared.deployed, trained) > 0.95
