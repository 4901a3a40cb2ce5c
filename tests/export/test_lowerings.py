import pytest
from torch import nn

from lightmobile.export.lowerings import LOWERINGS, difference, forms_in
from tests.export.tiny import tiny_fasternet


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("operator", LOWERINGS)
def test_all_forms_of_an_operator_compute_the_same_bits(operator, seed):
    assert len(LOWERINGS[operator].forms) > 1
    assert difference(operator, seed) == 0.0


def test_the_proof_can_fail():
    class Wrong(LOWERINGS["pconv"].layer()):
        def forward(self, x):
            return super().forward(x) + (self.form == "split_cat")

    right = LOWERINGS["pconv"]
    LOWERINGS["pconv"] = type(right)("pconv", right.layer, right.forms, lambda: Wrong(8))
    try:
        assert difference("pconv") == pytest.approx(1.0)
    finally:
        LOWERINGS["pconv"] = right


@pytest.mark.parametrize("form", ["slicing", "split_cat"])
def test_the_form_of_a_module_is_found(form):
    assert forms_in(tiny_fasternet(pconv=form)) == {"pconv": form}
    assert forms_in(nn.ReLU()) == {}
