"""A reference is made once, kept whole, and refused where it could prove nothing."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from lightmobile.errors import UsageError, VerificationError
from lightmobile.export.verification import Reference, make_reference
from lightmobile.models.prepared import Prepared, prepare

OVERRIDES = {"embed_dim": 8, "depths": [1, 1, 1, 1], "feature_dim": 16, "num_classes": 10}


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return prepare("fasternet_t0", input_size=(32, 48), overrides=OVERRIDES)


def make(prepared: Prepared, deployed: nn.Module | None = None) -> Reference:
    return make_reference(prepared.training, deployed or prepared.deployed, prepared.facts)


def test_it_holds_what_the_deployed_module_answers(prepared: Prepared) -> None:
    reference = make(prepared)
    assert reference.seeded.shape == (16, 3, 32, 48)
    assert reference.photographs.shape == (64, 3, 32, 48)
    with torch.inference_mode():
        expected = prepared.deployed(torch.from_numpy(reference.photographs[-3:])).numpy()
    np.testing.assert_allclose(reference.photograph_outputs[0][-3:], expected, rtol=1e-3, atol=1e-5)
    assert 0 < reference.training_rel_l2 < 1e-5


def test_it_is_the_same_each_time(prepared: Prepared) -> None:
    one, other = make(prepared), make(prepared)
    np.testing.assert_array_equal(one.seeded, other.seeded)
    np.testing.assert_array_equal(one.photographs, other.photographs)


def test_save_and_load(prepared: Prepared, tmp_path: Path) -> None:
    reference = make(prepared)
    reference.save(tmp_path / "reference.safetensors")
    loaded = Reference.load(tmp_path / "reference.safetensors")
    assert loaded.training_rel_l2 == reference.training_rel_l2
    for name in ("seeded", "photographs"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(reference, name))
    for name in ("seeded_outputs", "photograph_outputs"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(reference, name))


@pytest.mark.parametrize("content", [b"", b"\xff" * 100])
def test_load_refuses_what_is_no_reference(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "reference.safetensors"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="not a reference"):
        Reference.load(path)


def test_answers_that_hardly_vary_are_refused(prepared: Prepared) -> None:
    constant = copy.deepcopy(prepared.deployed).requires_grad_(False)
    constant.head.bias += 1e4
    with pytest.raises(VerificationError, match="nearly the same for every photograph"):
        make(prepared, constant)


def test_answers_that_are_not_finite_are_refused(prepared: Prepared) -> None:
    broken = copy.deepcopy(prepared.deployed).requires_grad_(False)
    broken.head.bias[0] = torch.nan
    with pytest.raises(VerificationError, match="not finite"):
        make(prepared, broken)


def test_a_wrongly_deployed_module_is_refused(prepared: Prepared) -> None:
    wrong = copy.deepcopy(prepared.deployed).requires_grad_(False)
    wrong.head.weight[0, 0] += 0.1
    with pytest.raises(VerificationError, match="what its training form computes"):
        make(prepared, wrong)
