"""Write small Core ML packages, from MIL's builder or from PyTorch modules."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch


@dataclass(frozen=True)
class Precision:
    """An element type under its names in MIL, NumPy and PyTorch."""

    name: str
    numpy: type[np.floating[Any]]
    torch: torch.dtype


FP32 = Precision("fp32", np.float32, torch.float32)
FP16 = Precision("fp16", np.float16, torch.float16)


def write_program(
    path: Path,
    build: Callable[..., Any],
    shapes: Sequence[tuple[int, ...]],
    precision: Precision = FP32,
    opset: str = "iOS17",
) -> Path:
    """Save the program that `build` makes of inputs x, y, z with MIL's builder, unoptimized."""
    import coremltools as ct
    from coremltools.converters.mil.mil import Builder as mb  # noqa: N813
    from coremltools.converters.mil.mil import types

    target = getattr(ct.target, opset)
    dtype = types.string_to_builtin(precision.name)
    functions = (lambda x: build(x), lambda x, y: build(x, y), lambda x, y, z: build(x, y, z))
    program = mb.program(
        input_specs=[mb.TensorSpec(shape=shape, dtype=dtype) for shape in shapes],
        opset_version=target,
    )(functions[len(shapes) - 1])
    return _save(
        path,
        program,
        minimum_deployment_target=target,
        pass_pipeline=ct.PassPipeline.EMPTY,
    )


def write_module(
    path: Path,
    module: torch.nn.Module,
    example: torch.Tensor,
    precision: Precision = FP32,
    opset: str = "iOS16",
) -> Path:
    """Save `module` as an export to Core ML makes it."""
    import coremltools as ct

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exported = torch.export.export(module.eval(), (example,)).run_decompositions({})
    compute = ct.precision.FLOAT32 if precision is FP32 else ct.precision.FLOAT16
    return _save(
        path,
        exported,
        minimum_deployment_target=getattr(ct.target, opset),
        compute_precision=compute,
    )


def _save(path: Path, source: Any, **options: Any) -> Path:
    import coremltools as ct

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = ct.convert(source, convert_to="mlprogram", skip_model_load=True, **options)
        model.save(str(path))
    return path
