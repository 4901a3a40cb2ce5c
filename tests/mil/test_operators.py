"""Every operator against PyTorch, from a saved package, in fp32 and in fp16."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from lightmobile.export.verification.mil import MilProgram, registry
from tests.mil.cases import CASES, Case
from tests.mil.packages import Precision, write_program

RUNS = [
    pytest.param(case, precision, id=f"{case}-{precision.name}")
    for case in CASES
    for precision in case.precisions
]


def _inputs(case: Case, precision: Precision) -> list[torch.Tensor]:
    rng = np.random.default_rng(7)
    arrays = (rng.uniform(*case.domain, shape) for shape in case.shapes)
    return [torch.from_numpy(array.astype(precision.numpy)) for array in arrays]


@pytest.mark.parametrize(("case", "precision"), RUNS)
def test_operator(case: Case, precision: Precision, tmp_path: Path) -> None:
    def build(*values: object) -> object:
        return case.build(lambda v: np.asarray(v, precision.numpy)[()], *values)

    path = write_program(tmp_path / "a.mlpackage", build, case.shapes, precision, case.opset)
    program = MilProgram.load(path)
    inputs = _inputs(case, precision)
    named = {name: value.numpy() for name, value in zip(program.inputs, inputs, strict=True)}
    results = list(program.run(named).values())

    expected = case.reference(*(value.float() for value in inputs))
    expected = list(expected) if isinstance(expected, Sequence) else [expected]
    assert len(results) == len(expected)
    for result, wanted, declared in zip(results, expected, program.outputs.values(), strict=True):
        assert result.dtype == declared.numpy
        assert result.shape == tuple(wanted.shape)
        _assert_close(result, wanted.numpy())


def _assert_close(result: np.ndarray, wanted: np.ndarray) -> None:
    """Equal integers; fp32 to 1e-6; fp16 to the spacing of fp16 numbers there."""
    if result.dtype == np.float16:
        rounded = wanted.astype(np.float16)
        room = np.spacing(np.abs(rounded)).astype(np.float32)
        assert (np.abs(result.astype(np.float32) - rounded.astype(np.float32)) <= room).all()
    elif result.dtype == np.float32:
        np.testing.assert_allclose(result, wanted, rtol=1e-6, atol=1e-6)
    else:
        np.testing.assert_array_equal(result, wanted)


def test_every_operator_has_a_case() -> None:
    assert {case.operator for case in CASES} == set(registry.known())


@pytest.mark.parametrize("case", [case for case in CASES if case.operator.startswith("constexpr")])
def test_case_is_really_compressed(case: Case, tmp_path: Path) -> None:
    """The converter must not have folded the constant that the case is about."""
    import coremltools as ct

    precision = case.precisions[0]

    def build(*values: object) -> object:
        return case.build(lambda v: np.asarray(v, precision.numpy)[()], *values)

    path = write_program(tmp_path / "a.mlpackage", build, case.shapes, precision, case.opset)
    (function,) = ct.utils.load_spec(str(path)).mlProgram.functions.values()
    (block,) = function.block_specializations.values()
    assert case.operator in {operation.type for operation in block.operations}
