from dataclasses import replace

import pytest
from torch import nn

from lightmobile.export.lowerings import LOWERINGS, difference, forms_in
from lightmobile.models import fuse
from tests.export.tiny import tiny_fasternet


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("operator", LOWERINGS)
def test_all_forms_of_an_operator_are_equal(operator, seed):
    assert len(LOWERINGS[operator].forms) > 1
    assert difference(operator, seed) < 1e-14


def test_the_proof_can_fail(monkeypatch):
    right = LOWERINGS["hetconv"]

    def wrong(form):
        layer = right.example(form)
        return nn.Sequential(layer, nn.Hardtanh()) if form == "dense" else layer

    monkeypatch.setitem(LOWERINGS, "hetconv", replace(right, example=wrong))
    assert difference("hetconv") > 0.01


@pytest.mark.parametrize(
    ("operator", "form"), [(name, form) for name, each in LOWERINGS.items() for form in each.forms]
)
def test_the_form_of_a_deployed_layer_is_found(operator, form):
    assert forms_in(fuse(LOWERINGS[operator].example(form))) == {operator: form}


def test_a_network_of_one_form_and_a_layer_of_none():
    assert forms_in(tiny_fasternet(pconv="split_cat")) == {"pconv": "split_cat"}
    assert forms_in(nn.ReLU()) == {}
