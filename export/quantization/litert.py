"""Quantization of a TFLite model by ai-edge-quantizer."""

from __future__ import annotations

import re
from contextlib import redirect_stderr
from io import StringIO
from typing import TYPE_CHECKING, Any

from lightmobile.export.quantization.biases import wider_weights

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lightmobile.export.calibration import CalibrationImages
    from lightmobile.export.spec import ExportSpec

__all__ = ["quantize"]

_RECIPES = {
    "int8": "static_wi8_ai8",
    "int16x8": "static_wi8_ai16",
    "int8_dynamic": "dynamic_wi8_afp32",
    "w8": "weight_only_wi8_afp32",
}
_STEPS = {"int8": 2**8 - 1, "int16x8": 2**16 - 1}
_SIGNATURE = "serving_default"
_INPUT = "image"


def quantize(
    model: bytes, spec: ExportSpec, kept: Iterable[str], images: CalibrationImages | None
) -> bytes:
    """Return a TFLite `model` in the precision of `spec`.

    Parameters
    ----------
    model
        In float32, with one signature of one input, as `export.targets.tflite` converts it.
    kept
        Scopes of the operators to leave alone, see `export.quantization.scopes`.
    images
        What shows the ranges of activations; None where `spec` quantizes none.
    """
    from ai_edge_quantizer.quantizer import Quantizer

    recipe = _recipe(spec, kept)
    ranges = None
    if images is not None and spec.precision in _STEPS:
        ranges = _ranges(model, recipe, images, spec.layout)
        ranges |= wider_weights(model, ranges, _STEPS[spec.precision])
    quantized = Quantizer(model, recipe).quantize(ranges, enable_progress_report=False)
    return bytes(quantized.quantized_model)


def _recipe(spec: ExportSpec, kept: Iterable[str]) -> list[dict[str, Any]]:
    """Return the vendor's recipe of the precision and its exceptions; a later one wins."""
    from ai_edge_quantizer import recipe

    [whole] = getattr(recipe, _RECIPES[spec.precision])()
    alone = {"algorithm_key": "no_quantize", "op_config": {}}
    # An output's scope is that of the operator which computes it, so the borders come last.
    borders = whole if spec.io == "int8" else alone
    return [
        whole,
        *(alone | {"regex": f"^{re.escape(scope)}$", "operation": "*"} for scope in kept),
        *(borders | {"regex": "^", "operation": operation} for operation in ("INPUT", "OUTPUT")),
    ]


def _ranges(
    model: bytes, recipe: list[dict[str, Any]], images: CalibrationImages, layout: str
) -> dict[str, Any]:
    """Return the least and greatest value of each tensor over `images`.

    The vendor's default forgets: the moving average of each image's extremes lies inside of them.
    """
    from ai_edge_quantizer.calibrator import Calibrator
    from ai_edge_quantizer.recipe_manager import RecipeManager
    from ai_edge_quantizer.utils.qsv_utils import min_max_update

    manager = RecipeManager()
    manager.load_quantization_recipe(recipe)
    calibrator = Calibrator(model, num_threads=1, qsv_update_func=min_max_update)
    for batch in images:
        if layout == "nhwc":
            batch = batch.transpose(0, 2, 3, 1).copy()
        # One by one: of what it is given at once, the calibrator makes a list. Nor does a log of
        # ten thousand images want its progress bar for each.
        with redirect_stderr(StringIO()):
            calibrator.calibrate({_SIGNATURE: [{_INPUT: batch}]}, manager)
    ranges: dict[str, Any] = calibrator.get_model_qsvs()
    return ranges
