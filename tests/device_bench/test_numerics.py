"""How outputs are compared: the bar of each precision, and steps of a grid."""

from __future__ import annotations

import numpy as np
import pytest

from lightmobile.device_bench.numerics import compare, grid_step

OUTPUT = np.random.default_rng(0).standard_normal((2, 10)).astype(np.float32)
LEVELS = np.random.default_rng(1).integers(-128, 128, (2, 500))
STEP = np.float32(0.0371)
GRID = LEVELS.astype(np.float32) * STEP


@pytest.mark.parametrize("against", ["pytorch", "host"])
@pytest.mark.parametrize(
    ("precision", "relative", "passed"),
    [("fp32", 3e-6, True), ("fp32", 3e-5, False), ("fp16", 5e-3, True), ("fp16", 5e-2, False)],
)
def test_each_precision_has_its_bar(against, precision, relative, passed):
    agreement = compare([OUTPUT], [OUTPUT * np.float32(1 + relative)], precision, against)
    assert agreement.rel_l2 == pytest.approx(relative, rel=0.1)
    assert agreement.max_abs == pytest.approx(relative * np.abs(OUTPUT).max(), rel=0.1)
    assert agreement.steps is None
    assert agreement.passed is passed


@pytest.mark.parametrize(("steps", "passed"), [(0, True), (1, True), (2, False)])
def test_quantized_outputs_may_differ_by_a_step_of_their_grid(steps, passed):
    other = LEVELS.copy()
    other[0, 0] += steps
    agreement = compare([GRID], [other.astype(np.float32) * STEP], "int8", "host")
    assert agreement.steps == pytest.approx(steps, abs=1e-3)
    assert agreement.passed is passed


def test_pytorch_lies_on_no_grid_of_the_file():
    agreement = compare([OUTPUT], [OUTPUT * np.float32(1.1)], "int8", "pytorch")
    assert (agreement.steps, agreement.passed) == (None, True)


def test_whole_numbers_are_a_grid_of_their_own():
    assert grid_step(LEVELS.astype(np.int8)) == 1


@pytest.mark.parametrize("output", [OUTPUT, np.zeros((1, 4), np.float32)], ids=["noise", "zeros"])
def test_what_lies_on_no_grid(output):
    assert grid_step(output) is None


@pytest.mark.parametrize(
    ("output", "why"),
    [
        (OUTPUT[:1], r"float32\[1, 10\] instead of float32\[2, 10\]"),
        (OUTPUT.astype(np.float64), "float64"),
        (OUTPUT * np.float32(np.nan), "what is no number"),
    ],
)
def test_what_cannot_be_compared(output, why):
    with pytest.raises(ValueError, match=why):
        compare([OUTPUT], [output], "fp32", "host")


def test_zeros_are_only_like_zeros():
    zeros = np.zeros((1, 4), np.float32)
    assert compare([zeros], [zeros], "fp32", "host").passed
    with pytest.raises(ValueError, match="all zero"):
        compare([zeros], [zeros + 1], "fp32", "host")


def test_another_number_of_outputs():
    with pytest.raises(ValueError, match="shorter"):
        compare([OUTPUT, OUTPUT], [OUTPUT], "fp32", "host")
