"""Quantized XNNPACK files pass, and no damage to a level or a scale does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

from lightmobile.errors import VerificationError
from lightmobile.export.manifest import Parity
from lightmobile.export.spec import ExportSpec
from lightmobile.export.targets import lower
from lightmobile.export.verification import Reference, check
from lightmobile.export.verification.flatbuffer import map_file
from lightmobile.export.verification.pte import Program, constants
from lightmobile.export.verification.weights import compare_weights
from tests.verification import networks
from tests.verification.conftest import Exported

PRECISIONS = ("int8", "int8_dynamic")
# A grid of 8 bits is coarse for so small a network.
MIN_SQNR_DB = 20.0


def export(net: nn.Module, precision: str, reference: Reference, folder: Path) -> Exported:
    path = folder / f"{precision}.pte"
    images: Any = reference.photographs[:, None]
    spec = ExportSpec("executorch", precision=precision)
    calibration = images if precision == "int8" else None
    lower(net, spec, path, input_size=networks.SIZE, images=calibration)
    manifest = networks.manifest(path, "executorch", precision)
    return Exported(path, manifest, reference, networks.state(net))


def judge(exported: Exported) -> Parity:
    return check(
        exported.path,
        exported.manifest,
        exported.reference,
        exported.weights,
        min_sqnr=MIN_SQNR_DB,
    )


@pytest.fixture(scope="module", params=PRECISIONS)
def quantized(
    request: pytest.FixtureRequest,
    net: nn.Module,
    reference: Reference,
    tmp_path_factory: pytest.TempPathFactory,
) -> Exported:
    return export(net, request.param, reference, tmp_path_factory.mktemp(request.param))


def test_a_sound_file_passes_with_every_weight_found(quantized: Exported) -> None:
    parity = judge(quantized)
    assert parity.weights_compared == len(quantized.weights)
    assert parity.sqnr_db < 60


# How XNNPACK orders the axes of a weight.
ORDERS = {"embed": (0, 2, 3, 1), "merge": (0, 2, 3, 1), "head": (0, 1)}


def scales(weight: np.ndarray) -> np.ndarray:
    """Return the steps of its channels."""
    bounds: np.ndarray = np.abs(weight).reshape(len(weight), -1).max(axis=1)
    return bounds / np.float32(127)


def levels(layer: str, weight: np.ndarray) -> np.ndarray:
    steps = scales(weight).reshape(-1, *[1] * (weight.ndim - 1))
    rounded: np.ndarray = np.round(weight / steps).astype(np.int8)
    return np.ascontiguousarray(rounded.transpose(ORDERS[layer]))


def one_level_off(values: np.ndarray) -> None:
    values.flat[values.size // 2] += 1 if values.flat[values.size // 2] < 1 else -1


def a_flipped_sign(values: np.ndarray) -> None:
    values.flat[np.abs(values).argmax()] *= -1


def a_damaged_scale(values: np.ndarray) -> None:
    values[1] *= 1.02


def no_scale(values: np.ndarray) -> None:
    values[:] = 0


def overwrite(exported: Exported, old: np.ndarray, new: np.ndarray, folder: Path) -> Exported:
    data = exported.path.read_bytes()
    assert data.count(old.tobytes()) == 1
    path = folder / "x.pte"
    path.write_bytes(data.replace(old.tobytes(), new.tobytes()))
    return replace(exported, path=path)


DAMAGES: dict[Callable[[np.ndarray], None], Callable[[str, np.ndarray], np.ndarray]] = {
    one_level_off: levels,
    a_flipped_sign: levels,
    a_damaged_scale: lambda _, weight: scales(weight),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("layer", ORDERS)
def test_damage_to_any_weight_is_noticed(
    quantized: Exported, layer: str, damage: Callable[[np.ndarray], None], tmp_path: Path
) -> None:
    sound = DAMAGES[damage](layer, quantized.weights[f"{layer}.weight"])
    wrong = sound.copy()
    damage(wrong)
    damaged = overwrite(quantized, sound, wrong, tmp_path)
    with pytest.raises(VerificationError, match=rf"{layer}\.weight"):
        judge(damaged)


def test_a_scale_of_nothing_is_refused(quantized: Exported, tmp_path: Path) -> None:
    sound = scales(quantized.weights["embed.weight"])
    damaged = overwrite(quantized, sound, np.zeros_like(sound), tmp_path)
    with pytest.raises(ValueError, match="no positive number"):
        constants(damaged.path)


def test_a_bias_with_another_sign_is_noticed(
    net: nn.Module, reference: Reference, tmp_path: Path
) -> None:
    exported = export(net, "int8", reference, tmp_path)
    entries = Program(map_file(exported.path)).named.items()
    # The only integers of the 5 that have 32 bits and 8 channels.
    (sound,) = (
        np.frombuffer(data, "<i4")
        for key, data in entries
        if len(data) == 32 and not key.startswith("scale_")
    )
    damaged = overwrite(exported, sound, -sound, tmp_path)
    with pytest.raises(VerificationError, match=r"embed\.bias"):
        compare_weights(constants(damaged.path), exported.weights, "int8")


@pytest.mark.parametrize(
    ("weights", "layer"), [(0.0, "embed"), (1e-6, "depthwise"), (0.0, "head"), (1e-6, "head")]
)
def test_a_dead_channel_keeps_its_bias(weights: float, layer: str, tmp_path: Path) -> None:
    net = networks.tiny_net()
    net.get_parameter(f"{layer}.weight")[3] *= weights
    judge(export(net, "int8", networks.reference(net), tmp_path))
