"""Core ML: an .mlpackage with an ML program."""

from __future__ import annotations

import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from lightmobile.export.lowerings import forms_in
from lightmobile.export.manifest import Placement, Tensor
from lightmobile.export.spec import TARGETS
from lightmobile.export.targets import Lowered, import_exporter

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from lightmobile.export.spec import ExportSpec

__all__ = ["INFO", "lower", "preload"]

INFO = TARGETS["coreml"]

# coremltools imports whatever it could convert from. ML programs from torch.export need none of
# it, and it takes three quarters of the time of `import coremltools`.
_UNNEEDED = ("executorch", "sklearn", "tensorflow", "torchao", "transformers", "xgboost")


def preload() -> None:
    """Import coremltools without what it converts from but torch; see `Target.preload`."""
    with _hidden(*_UNNEEDED):
        import_exporter(INFO, "coremltools")


def lower(module: nn.Module, spec: ExportSpec, path: Path, example: torch.Tensor) -> Lowered:
    """Write `module` to `path`; see `Target.lower`.

    Inputs and outputs are float32 also where the arithmetic is fp16, so that an application feeds
    every artifact alike. The model comes by `torch.export`: coremltools 9.0 cannot trace with
    numpy >= 2.4.
    """
    import_exporter(INFO, "coremltools")
    import coremltools as ct
    import numpy as np

    precision = ct.precision.FLOAT16 if spec.precision == "fp16" else ct.precision.FLOAT32
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        # coremltools knows no alias, which detaching a tensor leaves in the graph.
        same = {torch.ops.aten.alias.default: lambda x: x}
        program = torch.export.export(module, (example,)).run_decompositions(same)
        outputs = len(program.graph_signature.user_outputs)
        names = ["logits"] if outputs == 1 else [f"output_{i}" for i in range(outputs)]
        package = ct.convert(
            program,
            inputs=[ct.TensorType("image", dtype=np.float32)],
            outputs=[ct.TensorType(name, dtype=np.float32) for name in names],
            # Weights compressed as mobile developers compress them need iOS 16.
            minimum_deployment_target=ct.target.iOS16,
            compute_precision=precision,
            # Written where it belongs at once; `save` would copy it there.
            package_dir=str(path),
            # On macOS it would be compiled and loaded too, which takes a child process of its own.
            skip_model_load=True,
        )
    description = package.get_spec().description
    return Lowered(
        Placement(
            # Core ML chooses the processor of each operator when it loads the package.
            delegated_subgraphs=0,
            delegated={},
            undelegated=dict(_operators(package)),
        ),
        inputs=tuple(_tensor(feature, "nchw") for feature in description.input),
        outputs=tuple(_tensor(feature) for feature in description.output),
        lowering=forms_in(module),
    )


@contextmanager
def _hidden(*packages: str) -> Iterator[None]:
    # None in sys.modules makes an import fail as if the package were not installed.
    hidden = [package for package in packages if package not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for package in hidden:
            del sys.modules[package]


def _operators(package: Any) -> Counter[str]:
    program = package.get_spec().mlProgram
    blocks = (
        block
        for function in program.functions.values()
        for block in function.block_specializations.values()
    )
    return Counter(
        operation.type
        for block in blocks
        for operation in block.operations
        if operation.type != "const"
    )


def _tensor(feature: Any, layout: str | None = None) -> Tensor:
    array = feature.type.multiArrayType
    dtype = type(array).ArrayDataType.Name(array.dataType).lower()
    return Tensor(name=feature.name, shape=tuple(array.shape), dtype=dtype, layout=layout)
