import numpy as np
import pytest

from lightmobile.errors import VerificationError
from lightmobile.export.verification.compressed import palettized, quantized
from lightmobile.export.verification.weights import compare_weights

WEIGHT = np.random.default_rng(0).standard_normal((6, 4, 3, 3)).astype(np.float32)
SCALE = np.abs(WEIGHT).max(axis=(1, 2, 3)) / 127
LEVELS = np.round(WEIGHT / SCALE.reshape(-1, 1, 1, 1)).astype(np.int8)
PALETTE = np.linspace(WEIGHT.min(), WEIGHT.max(), 16, dtype=np.float32)
NEAREST = PALETTE[np.abs(WEIGHT[..., None] - PALETTE).argmin(axis=-1)]


def by_channel(levels=LEVELS, scale=SCALE):
    return quantized(levels, scale, axis=0)


def found(constant):
    return compare_weights({"constant": constant}, {"weight": WEIGHT}, "int8")


@pytest.mark.parametrize(
    "constant",
    [
        by_channel(),
        quantized(LEVELS.transpose(0, 2, 3, 1), SCALE, axis=0),
        quantized(LEVELS.astype(np.int16) + 128, SCALE, np.full(6, 128), axis=0),
        quantized(np.round(WEIGHT / 0.05).astype(np.int8), np.float32(0.05)),
        palettized(NEAREST, PALETTE),
        palettized(NEAREST.transpose(1, 2, 3, 0), PALETTE),
    ],
    ids=["by channel", "transposed", "zero point", "by tensor", "palette", "palette transposed"],
)
def test_a_weight_is_found_on_its_grid(constant):
    assert found(constant) == 1


def test_computed_values_are_those_of_the_grid():
    expected = LEVELS * SCALE.reshape(-1, 1, 1, 1)
    np.testing.assert_allclose(by_channel().dense, expected, rtol=1e-6)


def damaged_scale(factor):
    scale = SCALE.copy()
    scale[2] *= factor
    return scale


def damaged_level(change):
    levels = LEVELS.copy()
    levels[3, 1, 2, 0] += change
    return levels


@pytest.mark.parametrize(
    "constant",
    [
        by_channel(scale=damaged_scale(1.02)),
        by_channel(scale=damaged_scale(0.98)),
        by_channel(scale=damaged_scale(100)),
        by_channel(levels=damaged_level(1)),
        by_channel(levels=-LEVELS),
        palettized(np.where(PALETTE[3] == NEAREST, PALETTE[4], NEAREST), PALETTE),
        palettized(NEAREST * 1.1, PALETTE * 1.1),
    ],
    ids=["scale up", "scale down", "coarse", "a level", "signs", "index", "entries"],
)
def test_damage_is_noticed(constant):
    with pytest.raises(VerificationError, match="weights are not the model's"):
        found(constant)


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf])
def test_a_scale_that_is_none_is_refused(scale):
    with pytest.raises(ValueError, match="scale"):
        by_channel(scale=np.full(6, scale))


def test_a_compressed_constant_that_is_no_weight_is_refused():
    extra = {"weight": by_channel(), "extra": quantized(LEVELS[:2], SCALE[:2], axis=0)}
    with pytest.raises(VerificationError, match="extra"):
        compare_weights(extra, {"weight": WEIGHT}, "int8")
