"""The loaded program: its signature, its weights, and what it refuses to run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from lightmobile.errors import UsageError, VerificationError
from lightmobile.export.verification.compressed import Compressed
from lightmobile.export.verification.mil import MilProgram, TensorType
from lightmobile.export.verification.mil.registry import Call, Node, Output, evaluate
from tests.mil.packages import FP16, FP32, Precision, write_module, write_program

mil = pytest.importorskip("coremltools.converters.mil.mil")
mb = mil.Builder


@pytest.fixture(scope="module")
def module() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 5)).eval()


@pytest.fixture(scope="module")
def package(module: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("package")
    return write_module(folder / "a.mlpackage", module, torch.randn(2, 3, 6, 6))


def test_signature_and_operators(package: Path) -> None:
    program = MilProgram.load(package)
    assert list(program.inputs.values()) == [TensorType((2, 3, 6, 6), "fp32")]
    assert list(program.outputs.values()) == [TensorType((2, 5), "fp32")]
    assert program.operators() == {"conv": 1, "relu": 1, "reshape": 1, "linear": 1}


@pytest.mark.parametrize("precision", [FP32, FP16], ids=lambda precision: precision.name)
def test_weights_are_those_of_the_module(
    precision: Precision, module: nn.Module, tmp_path: Path
) -> None:
    path = write_module(tmp_path / "a.mlpackage", module, torch.randn(1, 3, 6, 6), precision)
    found = sorted(MilProgram.load(path).weights().values(), key=np.size)
    wanted = sorted(module.state_dict().values(), key=torch.numel)
    assert len(found) == len(wanted)
    for array, tensor in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(array, tensor.numpy().astype(precision.numpy))


def test_parameters_left_out_are_not_weights(tmp_path: Path) -> None:
    """coremltools fills in a bias of zeros for a linear layer without one."""
    weight = np.ones((2, 3), np.float32)
    path = write_program(
        tmp_path / "a.mlpackage", lambda x: mb.conv(x=x, weight=weight[..., None]), [(1, 3, 4)]
    )
    (found,) = MilProgram.load(path).weights().values()
    np.testing.assert_array_equal(found[..., 0], weight)


def test_a_scale_that_is_also_an_operand_is_a_weight(tmp_path: Path) -> None:
    """A constant cannot hide from the comparison of weights behind a compressed one."""

    def build(x: Any) -> Any:
        scale = mb.const(val=np.array([2, 3], np.float32), name="scale")
        dense = mb.constexpr_affine_dequantize(
            quantized_data=np.eye(2, dtype=np.uint8), zero_point=np.uint8(0), scale=scale, axis=0
        )
        return mb.add(x=mb.add(x=x, y=dense), y=scale)

    path = write_program(tmp_path / "a.mlpackage", build, [(2, 2)], opset="iOS18")
    weights = MilProgram.load(path).weights().values()
    shapes = [w.dense.shape if isinstance(w, Compressed) else w.shape for w in weights]
    assert sorted(shapes) == [(2,), (2, 2)]


def test_runs_again_with_the_same_result(package: Path) -> None:
    program = MilProgram.load(package)
    inputs = {name: np.ones((2, 3, 6, 6), np.float32) for name in program.inputs}
    first, second = program.run(inputs), program.run(inputs)
    for name in program.outputs:
        np.testing.assert_array_equal(first[name], second[name])


def test_inputs_are_not_changed_or_shared(tmp_path: Path) -> None:
    path = write_program(tmp_path / "a.mlpackage", lambda x: mb.identity(x=x), [(3,)])
    program = MilProgram.load(path)
    x = np.arange(3, dtype=np.float32)
    (result,) = program.run({"x": x}).values()
    result += 1
    np.testing.assert_array_equal(x, [0, 1, 2])


def test_fp16_is_rounded_after_every_operator(tmp_path: Path) -> None:
    """1 + 2^-12 is 1 in fp16, so taking 1 away leaves nothing, unlike in fp32."""
    path = write_program(
        tmp_path / "a.mlpackage",
        lambda x: mb.sub(x=mb.add(x=x, y=np.float16(2**-12)), y=np.float16(1)),
        [(1,)],
        FP16,
    )
    (result,) = MilProgram.load(path).run({"x": np.ones(1, np.float16)}).values()
    assert result.tolist() == [0]


def test_fp16_sums_are_accumulated_in_fp32(tmp_path: Path) -> None:
    """Accumulated in fp16, 4096 ones would stop at 2048."""
    path = write_program(
        tmp_path / "a.mlpackage", lambda x: mb.reduce_sum(x=x, axes=[0]), [(4096,)], FP16
    )
    (result,) = MilProgram.load(path).run({"x": np.ones(4096, np.float16)}).values()
    assert result.tolist() == 4096


@pytest.mark.parametrize(
    "inputs",
    [{}, {"other": np.zeros((2, 3, 6, 6))}, {"x": np.zeros((1, 3, 6, 6)), "y": np.zeros(1)}],
)
def test_wrong_inputs(inputs: dict[str, Any], package: Path) -> None:
    with pytest.raises(UsageError, match="The program takes"):
        MilProgram.load(package).run(inputs)


def test_wrong_shape(package: Path) -> None:
    program = MilProgram.load(package)
    with pytest.raises(UsageError, match=r"fp32\[2, 3, 6, 6\]"):
        program.run(dict.fromkeys(program.inputs, np.zeros((1, 3, 6, 6), np.float32)))


def test_unknown_operator_is_named_with_its_output(tmp_path: Path) -> None:
    path = write_program(
        tmp_path / "a.mlpackage", lambda x: mb.relu(x=mb.cumsum(x=x, name="total")), [(3,)]
    )
    with pytest.raises(VerificationError, match="'cumsum' of 'total'"):
        MilProgram.load(path)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda x: mb.resize_nearest_neighbor(x=x, target_size_height=5, target_size_width=4),
            "resize_nearest_neighbor.*target size",
        ),
        (
            lambda x: mb.conv_transpose(
                x=x, weight=np.ones((2, 1, 2, 2), np.float32), pad_type="same"
            ),
            "conv_transpose.*pad_type.*same",
        ),
        (lambda x: mb.gather(x=x, indices=[[0, 9]], axis=1), "gather.*indices"),
        (lambda x: mb.gather(x=x, indices=[-1], axis=1), "gather.*indices"),
        (lambda x: mb.gather(x=x, indices=[[0]], axis=1, batch_dims=1), "gather.*batch_dims"),
        (
            lambda x: mb.upsample_bilinear(x=x, align_corners=True, half_pixel_centers=True),
            "upsample_bilinear.*half_pixel_centers",
        ),
    ],
)
def test_values_without_a_documented_meaning(build: Any, message: str, tmp_path: Path) -> None:
    path = write_program(tmp_path / "a.mlpackage", build, [(1, 2, 3, 4)])
    program = MilProgram.load(path)
    with pytest.raises(VerificationError, match=message):
        program.run({"x": np.zeros((1, 2, 3, 4), np.float32)})


def test_integers_where_the_meaning_is_unclear(tmp_path: Path) -> None:
    path = write_program(
        tmp_path / "a.mlpackage",
        lambda x: mb.real_div(x=mb.cast(x=x, dtype="int32"), y=np.int32(2)),
        [(3,)],
    )
    with pytest.raises(VerificationError, match="real_div"):
        MilProgram.load(path).run({"x": np.zeros(3, np.float32)})


def _node(declared: TensorType, **inputs: int) -> Node:
    return Node("relu", inputs, (Output(9, "y", declared),))


def test_a_parameter_nobody_reads_is_refused() -> None:
    values: dict[int, Any] = {0: torch.zeros(2), 1: torch.zeros(2)}
    with pytest.raises(VerificationError, match="'extra' is not understood"):
        evaluate(_node(TensorType((2,), "fp32"), x=0, extra=1), values)


@pytest.mark.parametrize("declared", [TensorType((3,), "fp32"), TensorType((2,), "int32")])
def test_a_result_other_than_declared_is_refused(declared: TensorType) -> None:
    with pytest.raises(VerificationError, match="The program declares 'y'"):
        evaluate(_node(declared, x=0), {0: torch.zeros(2)})


def test_a_tensor_is_not_a_string() -> None:
    call = Call(_node(TensorType((2,), "fp32"), x=0, mode=1), {0: "EXACT", 1: torch.zeros(1)})
    with pytest.raises(VerificationError, match="'x' is 'EXACT'"):
        call.tensor("x")
    with pytest.raises(VerificationError, match="'mode' is 'a tensor"):
        call.text("mode")
