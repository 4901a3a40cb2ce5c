"""The figures, on arrays whose figures are known."""

from __future__ import annotations

import numpy as np
import pytest

from lightmobile.errors import VerificationError
from lightmobile.export.verification.metrics import (
    BARS,
    Bar,
    max_abs,
    rel_l2,
    sqnr_db,
    top1_agreement,
    variation,
)

REFERENCE = np.array([[3.0, 0.0], [0.0, 4.0]], np.float32)


def test_max_abs_and_rel_l2() -> None:
    measured = REFERENCE + np.array([[0.0, 0.3], [0.0, -0.4]], np.float32)
    assert max_abs(REFERENCE, measured) == pytest.approx(0.4)
    assert rel_l2(REFERENCE, measured) == pytest.approx(0.1)
    assert rel_l2(REFERENCE, REFERENCE) == 0


def test_sqnr_counts_what_varies_between_images_only() -> None:
    signal = np.array([[1.0], [-1.0]])
    noise = np.array([[0.1], [0.1]])
    assert sqnr_db(signal, signal + noise) == pytest.approx(20)
    # A part that all images share is no signal, but a shift of it is noise.
    assert sqnr_db(signal + 1000, signal + 1000 + noise) == pytest.approx(20)


def test_equal_answers_have_a_finite_sqnr() -> None:
    assert sqnr_db(REFERENCE, REFERENCE) == pytest.approx(200)


def test_variation() -> None:
    assert variation(np.array([[1.0], [-1.0]])) == 1
    assert variation(np.ones((4, 3))) == 0
    assert variation(np.zeros((4, 3))) == 0


def test_near_ties_are_counted_apart() -> None:
    reference = np.array([[1.0, 0.0, 0.0], [1.0, 0.999, 0.0], [0.0, 0.0, 2.0]])
    swapped = reference[:, [1, 0, 2]]
    assert top1_agreement(reference, reference, near_tie=0.01) == (1.0, 1)
    assert top1_agreement(reference, swapped, near_tie=0.01) == (0.5, 1)


def test_a_reference_of_near_ties_proves_nothing() -> None:
    with pytest.raises(VerificationError, match="clear best class"):
        top1_agreement(np.ones((4, 3)), np.ones((4, 3)), near_tie=0.01)


def test_one_class_always_agrees() -> None:
    assert top1_agreement(REFERENCE[:, :1], REFERENCE[:, :1] + 1, near_tie=0.1) == (1.0, 0)


def test_what_counts_as_a_near_tie_follows_from_the_bar() -> None:
    reference = np.array([[1.0], [-1.0]])
    assert Bar(rel_l2=1.0, sqnr_db=20).near_tie(reference) == pytest.approx(0.3 * 2**0.5)
    assert BARS["fp32"].near_tie(reference) < 1e-4 < BARS["fp16"].near_tie(reference) < 0.03
