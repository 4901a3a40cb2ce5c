"""Core ML: an .mlpackage with an ML program."""

from __future__ import annotations

import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from lightmobile.errors import UsageError
from lightmobile.export.lowerings import forms_in
from lightmobile.export.manifest import Placement, Tensor
from lightmobile.export.quantization.mil_weights import PALETTE_BITS, Weight, palettize
from lightmobile.export.quantization.pt2e import quantize
from lightmobile.export.spec import TARGETS
from lightmobile.export.targets import Lowered, import_exporter
from lightmobile.export.targets.half import head_layers

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn
    from torchao.quantization.pt2e.quantizer import Quantizer

    from lightmobile.export.calibration import CalibrationImages
    from lightmobile.export.spec import ExportSpec

__all__ = ["INFO", "lower", "preload"]

INFO = TARGETS["coreml"]

# Oldest systems that read a precision, where iOS 16 does not.
_DEPLOYMENT = {"int8": "iOS17", "w8": "iOS17", "w6p": "iOS18", "w4p": "iOS18"}

_PLACED_BY = (
    "Core ML runs whole programs; it chooses CPU, GPU or Neural Engine for each operator when it "
    "loads"
)

# coremltools imports whatever it could convert from. ML programs from torch.export need none of
# it, and it takes three quarters of the time of `import coremltools`.
_UNNEEDED = ("executorch", "sklearn", "tensorflow", "torchao", "transformers", "xgboost")


def preload() -> None:
    """Import coremltools without what it converts from but torch; see `Target.preload`."""
    with _hidden(*_UNNEEDED):
        import_exporter(INFO, "coremltools")


def lower(
    module: nn.Module,
    spec: ExportSpec,
    path: Path,
    example: torch.Tensor,
    images: CalibrationImages | None = None,
) -> Lowered:
    """Write `module` to `path`; see `Target.lower`.

    Inputs and outputs are float32 also where the arithmetic is fp16, so that an application feeds
    every artifact alike. The model comes by `torch.export`: coremltools 9.0 cannot trace with
    numpy >= 2.4. The post-training route of coremltools itself to int8 activations runs the model,
    which takes a Mac; PT2E needs none.
    """
    import_exporter(INFO, "coremltools")
    body, lowering = module, forms_in(module)
    if spec.precision == "int8":
        head = head_layers(module, example)
        body = quantize(module, example, _quantizer(head), images or (), spec.keep_fp)
        lowering |= {"fp16_inputs": ", ".join(head)}
    elif spec.precision == "w8":
        # Weights are looked at when an input passes, whichever.
        body = quantize(module, example, _quantizer([""]), [example.numpy()], spec.keep_fp)
    elif spec.precision in PALETTE_BITS:
        lowering |= {"palettes": "by 8 to 32 output channels"}
    package = _convert(body, spec, path, example)
    description = package.get_spec().description
    return Lowered(
        (
            Placement(
                delegate="coreml",
                by=_PLACED_BY,
                delegated_subgraphs=1,
                delegated=dict(_operators(package)),
                undelegated={},
            ),
        ),
        inputs=tuple(_tensor(feature, "nchw") for feature in description.input),
        outputs=tuple(_tensor(feature) for feature in description.output),
        lowering=lowering | {"compute_units": package.compute_unit.name},
    )


def _convert(module: nn.Module, spec: ExportSpec, path: Path, example: torch.Tensor) -> Any:
    import coremltools as ct
    import numpy as np

    precision = ct.precision.FLOAT32 if spec.precision == "fp32" else ct.precision.FLOAT16
    palettes = spec.precision in PALETTE_BITS
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
            minimum_deployment_target=ct.target[_DEPLOYMENT.get(spec.precision, "iOS16")],
            compute_precision=precision,
            # Written where it belongs at once; `save` would copy it there.
            package_dir=None if palettes else str(path),
            # On macOS it would be compiled and loaded too, which takes a child process of its own.
            skip_model_load=True,
        )
        if palettes:
            package = palettize(package, spec.precision, _weights(program), spec.keep_fp)
            package.save(str(path))
    return package


def _weights(program: torch.export.ExportedProgram) -> dict[str, Weight]:
    """Return the module's tensors by the names of the fp16 constants that hold them."""
    signature = program.graph_signature
    names = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    return {
        f"{placeholder}_to_fp16": Weight(name, program.state_dict[name].shape[0])
        for placeholder, name in names.items()
        if program.state_dict[name].dim() > 1
    }


def _quantizer(fp16: list[str]) -> Quantizer:
    try:
        from lightmobile.export.quantization.coreml import Int8Quantizer
    except ImportError as error:
        raise UsageError(
            "Nothing here quantizes to int8 for Core ML",
            why=str(error),
            fix="pip install 'lightmobile[coreml,executorch]', which brings torchao",
        ) from None
    return Int8Quantizer(fp16)


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
