"""TFLite: a .tflite for LiteRT."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import torch
from torch import nn

from lightmobile.export import cpu_delegate, gpu_delegate
from lightmobile.export.lowerings import forms_in
from lightmobile.export.manifest import Tensor
from lightmobile.export.precision import PRECISIONS
from lightmobile.export.quantization.litert import quantize
from lightmobile.export.quantization.scopes import kept_scopes
from lightmobile.export.spec import TARGETS
from lightmobile.export.targets import Lowered, import_exporter

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from lightmobile.export.calibration import CalibrationImages
    from lightmobile.export.spec import ExportSpec

__all__ = ["INFO", "lower", "preload"]

INFO = TARGETS["tflite"]


def preload() -> None:
    """Import litert-torch; see `Target.preload`."""
    import_exporter(INFO, "litert_torch")


def lower(
    module: nn.Module,
    spec: ExportSpec,
    path: Path,
    example: torch.Tensor,
    images: CalibrationImages | None = None,
) -> Lowered:
    """Write `module` to `path`; see `Target.lower`.

    litert-torch keeps the input's axes as the module has them, NCHW; the NHWC form takes them as
    a camera gives them.
    """
    preload()
    import litert_torch

    body = NamedTensors(module, spec.layout).eval()
    if spec.layout == "nhwc":
        example = example.permute(0, 2, 3, 1).contiguous()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        model = litert_torch.convert(body, (), {"image": example})
        if PRECISIONS[spec.precision].quantized:
            content = model.model_content()
            keep_fp = [f"body.{name}" for name in spec.keep_fp]
            kept = kept_scopes(content, body, example, keep_fp) if keep_fp else []
            path.write_bytes(quantize(content, spec, kept, images))
        else:
            model.export(str(path))
    return _read(path, spec.layout, forms_in(module))


class NamedTensors(nn.Module):
    """A module whose input and outputs have the names that the file's signature will have."""

    def __init__(self, module: nn.Module, layout: str) -> None:
        super().__init__()
        self.body = module
        self.layout = layout

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        if self.layout == "nhwc":
            image = image.permute(0, 3, 1, 2)
        outputs = self.body(image)
        if isinstance(outputs, torch.Tensor):
            return {"logits": outputs}
        return {f"output_{index}": output for index, output in enumerate(outputs)}


def _read(path: Path, layout: str, lowering: dict[str, str]) -> Lowered:
    # The exporter reports nothing; the interpreter tells what is in the file.
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_path=str(path),
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    signature = interpreter.get_signature_runner()
    return Lowered(
        # The application chooses the delegate when it loads the file.
        (cpu_delegate.placement(path), gpu_delegate.placement(path)),
        inputs=tuple(
            _tensor(name, row, layout) for name, row in signature.get_input_details().items()
        ),
        outputs=tuple(_tensor(name, row) for name, row in signature.get_output_details().items()),
        lowering=lowering,
    )


def _tensor(name: str, row: dict[str, Any], layout: str | None = None) -> Tensor:
    shape = tuple(int(size) for size in row["shape"])
    return Tensor(name=name, shape=shape, dtype=row["dtype"].__name__, layout=layout)
