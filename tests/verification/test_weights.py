"""Weights are found bit by bit, in any order of axes, and nothing else is let through."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from lightmobile.errors import VerificationError
from lightmobile.export.verification.weights import compare_weights

RNG = np.random.default_rng(0)
CONV = RNG.standard_normal((4, 3, 2, 2), np.float32)
BIAS = RNG.standard_normal(4, np.float32)
WEIGHTS = {"conv.weight": CONV, "conv.bias": BIAS}


@pytest.mark.parametrize("axes", list(permutations(range(4))))
def test_any_order_of_axes_is_found(axes: tuple[int, ...]) -> None:
    assert compare_weights({"a": CONV.transpose(axes), "b": BIAS}, WEIGHTS, "fp32") == 2


def test_axes_of_length_one_do_not_matter() -> None:
    depthwise = RNG.standard_normal((5, 1, 3, 3), np.float32)
    constants = {"a": depthwise.transpose(1, 2, 3, 0), "b": BIAS[None, :, None]}
    assert compare_weights(constants, {"depthwise": depthwise, "bias": BIAS}, "fp32") == 2


def test_values_in_another_place_are_not_the_weight() -> None:
    shuffled = CONV.copy()
    shuffled[0, 0, 0, 0], shuffled[1, 1, 1, 1] = CONV[1, 1, 1, 1], CONV[0, 0, 0, 0]
    with pytest.raises(VerificationError, match=r"1 of 2 weights are not in it: conv\.weight"):
        compare_weights({"a": shuffled, "b": BIAS}, WEIGHTS, "fp32")


@pytest.mark.parametrize("bit", range(32))
def test_any_flipped_bit_is_noticed(bit: int) -> None:
    damaged = CONV.copy()
    damaged.view(np.uint32)[-1, -1, -1, -1] ^= np.uint32(1 << bit)
    with pytest.raises(VerificationError, match=r"conv\.weight"):
        compare_weights({"a": damaged, "b": BIAS}, WEIGHTS, "fp32")


def test_rounding_is_for_fp16_only() -> None:
    rounded = {"a": CONV.astype(np.float16), "b": BIAS.astype(np.float16).astype(np.float32)}
    assert compare_weights(rounded, WEIGHTS, "fp16") == 2
    with pytest.raises(VerificationError, match="2 of 2 weights"):
        compare_weights(rounded, WEIGHTS, "fp32")


def test_a_weight_that_fp16_cannot_hold_becomes_infinite() -> None:
    large = np.array([1e6, 1.0], np.float32)
    with np.errstate(over="ignore"):
        constants = {"a": large.astype(np.float16)}
    assert compare_weights(constants, {"large": large}, "fp16") == 1


def test_equal_weights_may_share_a_constant() -> None:
    assert compare_weights({"a": BIAS}, {"one": BIAS, "other": BIAS.copy()}, "fp32") == 2


def test_of_equal_weights_a_damaged_one_is_noticed() -> None:
    damaged = BIAS.copy()
    damaged[0] *= -1
    weights = {"one": BIAS, "other": BIAS.copy()}
    with pytest.raises(VerificationError, match=r"no weight of the model: b \[4\]"):
        compare_weights({"a": BIAS, "b": damaged}, weights, "fp32")


def test_zeros_may_be_left_out_and_added() -> None:
    weights = {**WEIGHTS, "zeros": np.zeros(7, np.float32)}
    constants = {"a": CONV, "b": BIAS, "more": np.zeros(9, np.float32)}
    assert compare_weights(constants, weights, "fp32") == 2


def test_ones_may_be_left_out() -> None:
    weights = {**WEIGHTS, "ones": np.ones(7, np.float32)}
    assert compare_weights({"a": CONV, "b": BIAS}, weights, "fp32") == 2


def test_an_exporters_factor_is_no_weight() -> None:
    constants = {"a": CONV, "b": BIAS, "half": np.full((1, 4, 1, 1), 0.5, np.float32)}
    assert compare_weights(constants, WEIGHTS, "fp32") == 2


def test_integers_are_no_weights() -> None:
    weights = {**WEIGHTS, "steps": np.arange(3)}
    assert compare_weights({"a": CONV, "b": BIAS}, weights, "fp32") == 2


def test_many_missing_weights_are_not_all_listed() -> None:
    weights = {f"w{index}": BIAS + index for index in range(8)}
    with pytest.raises(VerificationError, match=r"8 of 8 .*w4 and 3 more"):
        compare_weights({}, weights, "fp32")


def test_what_the_model_computes_from_weights_may_stand_for_them() -> None:
    table = np.arange(1, 13, dtype=np.float32).reshape(4, 3)
    looked_up = table[[3, 0, 0, 2]]
    weights = {**WEIGHTS, "table": table}
    computed = [(looked_up, frozenset({"table"}))]
    constants = {"a": CONV, "b": BIAS, "c": looked_up.T[None]}
    assert compare_weights(constants, weights, "fp32", computed) == 3
    with pytest.raises(VerificationError, match="it holds what is no weight of the model: c "):
        compare_weights(constants | {"d": table}, weights, "fp32")
    with pytest.raises(VerificationError, match=r"1 of 3 weights are not in it: table\."):
        compare_weights({"a": CONV, "b": BIAS}, weights, "fp32", computed)


def test_what_comes_from_no_weight_may_be_in_it():
    mask = np.triu(np.full((4, 4), -100, np.float32))
    computed = [(mask, frozenset())]
    weights = {"conv": CONV}
    assert compare_weights({"a": CONV, "mask": mask[None]}, weights, "fp32", computed) == 1
    with pytest.raises(VerificationError, match=r"no weight of the model: mask \[1, 4, 4\]"):
        compare_weights({"a": CONV, "mask": mask[None]}, weights, "fp32")
