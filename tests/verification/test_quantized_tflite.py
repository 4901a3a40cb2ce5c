"""Quantized TFLite files pass, and no damage to a level, a scale, a zero point or an axis does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.tools import flatbuffer_utils
from torch import nn

from lightmobile.errors import VerificationError
from lightmobile.export.manifest import Parity
from lightmobile.export.spec import ExportSpec
from lightmobile.export.targets import lower
from lightmobile.export.verification import Reference, check
from lightmobile.export.verification.tflite import constants
from lightmobile.export.verification.weights import compare_weights
from tests.verification import networks
from tests.verification.conftest import Exported

# The calibrator looks into every tensor, which the interpreter warns of.
pytestmark = pytest.mark.filterwarnings("ignore:.*experimental_preserve_all_tensors")

PRECISIONS = ("int8", "int16x8", "int8_dynamic", "w8")
# A grid of 8 bits is coarse for so small a network.
MIN_SQNR_DB = 20.0


def export(net: nn.Module, precision: str, reference: Reference, folder: Path) -> Exported:
    path = folder / f"{precision}.tflite"
    images: Any = reference.photographs[:, None]
    spec = ExportSpec("tflite", precision=precision)
    lower(net, spec, path, input_size=networks.SIZE, images=images)
    return Exported(
        path, networks.manifest(path, "tflite", precision), reference, networks.state(net)
    )


@pytest.fixture(scope="module")
def made(
    net: nn.Module, reference: Reference, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Exported]:
    done: dict[str, Exported] = {}

    def make(precision: str) -> Exported:
        if precision not in done:
            folder = tmp_path_factory.mktemp(precision)
            done[precision] = export(net, precision, reference, folder)
        return done[precision]

    return make


def judge(exported: Exported) -> Parity:
    return check(
        exported.path,
        exported.manifest,
        exported.reference,
        exported.weights,
        min_sqnr=MIN_SQNR_DB,
    )


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_sound_file_passes_with_every_weight_found(made: Any, precision: str) -> None:
    parity = judge(made(precision))
    assert parity.weights_compared == len(made(precision).weights)
    assert parity.sqnr_db < 60


@pytest.mark.parametrize(("precision", "kind"), [("int8", 2), ("int16x8", 4)])
def test_biases_are_read_in_their_width(made: Any, precision: str, kind: int) -> None:
    exported = made(precision)
    biases = {name for name in exported.weights if name.endswith(".bias")}
    model = flatbuffer_utils.read_model(str(exported.path))
    assert {weight(model, exported, name).type for name in biases} == {kind}


def tensors(model: Any) -> list[Any]:
    return list(model.subgraphs[0].tensors)


def grid(tensor: Any) -> bool:
    return tensor.quantization is not None and tensor.quantization.scale is not None


def weight(model: Any, exported: Exported, name: str) -> Any:
    """Return the tensor that holds the weight `name`: the only constant of its size and rank."""
    wanted = exported.weights[name]
    (found,) = (
        tensor
        for tensor in tensors(model)
        if grid(tensor)
        and model.buffers[tensor.buffer].data is not None
        and np.prod(tensor.shape) == wanted.size
        and np.allclose(
            np.sort(levels(model, tensor) * scales(tensor), axis=None),
            np.sort(wanted, axis=None),
            atol=float(np.max(tensor.quantization.scale)),
        )
    )
    return found


def levels(model: Any, tensor: Any) -> np.ndarray:
    data = np.asarray(model.buffers[tensor.buffer].data, np.uint8)
    return data.view({2: "<i4", 4: "<i8", 9: "i1"}[tensor.type]).reshape(tensor.shape)


def scales(tensor: Any) -> np.ndarray:
    shape = [1] * len(tensor.shape)
    shape[tensor.quantization.quantizedDimension] = -1
    return np.asarray(tensor.quantization.scale).reshape(shape)


def one_level_off(model: Any, tensor: Any) -> None:
    changed = levels(model, tensor).copy()
    changed.flat[changed.size // 2] += 1 if changed.flat[changed.size // 2] < 1 else -1
    model.buffers[tensor.buffer].data = changed.reshape(-1).view(np.uint8)


def a_flipped_sign(model: Any, tensor: Any) -> None:
    changed = levels(model, tensor).copy()
    changed.flat[np.abs(changed).argmax()] *= -1
    model.buffers[tensor.buffer].data = changed.reshape(-1).view(np.uint8)


def a_damaged_scale(model: Any, tensor: Any) -> None:
    tensor.quantization.scale = [
        1.02 * tensor.quantization.scale[0],
        *tensor.quantization.scale[1:],
    ]


def a_moved_zero_point(model: Any, tensor: Any) -> None:
    tensor.quantization.zeroPoint = [1, *tensor.quantization.zeroPoint[1:]]


def damaged(made: Any, name: str, damage: Callable[[Any, Any], None], folder: Path) -> Exported:
    exported: Exported = made("int8")
    model = flatbuffer_utils.read_model(str(exported.path))
    damage(model, weight(model, exported, name))
    path = folder / "x.tflite"
    flatbuffer_utils.write_model(model, str(path))
    return replace(exported, path=path)


COARSE = (a_flipped_sign, a_damaged_scale, a_moved_zero_point)
DAMAGES = [
    *product(["embed.weight", "depthwise.weight", "head.weight"], (one_level_off, *COARSE)),
    *product(["embed.bias", "head.bias"], COARSE[:2]),  # 32 bits are finer than the comparison
]


@pytest.mark.parametrize(("name", "damage"), DAMAGES)
def test_damage_to_any_weight_is_noticed(
    made: Any, name: str, damage: Callable[[Any, Any], None], tmp_path: Path
) -> None:
    exported = damaged(made, name, damage, tmp_path)
    with pytest.raises(VerificationError, match=name.replace(".", r"\.")):
        compare_weights(constants(exported.path), exported.weights, "int8")
    with pytest.raises(VerificationError):  # LiteRT refuses some by itself
        judge(exported)


def another_axis(quantization: Any) -> None:
    quantization.quantizedDimension = 1


def an_axis_beyond(quantization: Any) -> None:
    quantization.quantizedDimension = 9


def a_negative_scale(quantization: Any) -> None:
    quantization.scale = [-scale for scale in quantization.scale]


def no_zero_points(quantization: Any) -> None:
    quantization.zeroPoint = None


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (another_axis, "scales do not fit axis 1"),
        (an_axis_beyond, "scales do not fit axis 9"),
        (a_negative_scale, "no positive number"),
        (no_zero_points, "scales have 0 zero points"),
    ],
)
def test_an_impossible_grid_is_refused(
    made: Any, damage: Callable[[Any], None], why: str, tmp_path: Path
) -> None:
    exported = damaged(
        made, "embed.weight", lambda _, tensor: damage(tensor.quantization), tmp_path
    )
    with pytest.raises(VerificationError) as raised:
        judge(exported)
    assert why in str(raised.value.why)


def no_grid(_model: Any, tensor: Any) -> None:
    tensor.quantization = None


def test_a_constant_without_its_scale_is_missed(made: Any, tmp_path: Path) -> None:
    exported = damaged(made, "head.weight", no_grid, tmp_path)
    with pytest.raises(VerificationError, match=r"head\.weight"):
        compare_weights(constants(exported.path), exported.weights, "int8")


@pytest.mark.parametrize("layer", ["embed", "depthwise", "head"])
@pytest.mark.parametrize(("precision", "weights"), [("int8", 0.0), ("int16x8", 1e-6)])
def test_a_dead_channel_keeps_its_bias(
    precision: str, weights: float, layer: str, tmp_path: Path
) -> None:
    net = networks.tiny_net()
    net.get_parameter(f"{layer}.weight")[3] *= weights
    judge(export(net, precision, networks.reference(net), tmp_path))
