"""Ranges of weights that leave their biases room.

A quantized bias counts in steps of the input's scale times the weights', in 32 bits. Where the
weights of a channel are next to nothing (pruned, or dead when batch norm was folded) that range
ends before the bias does: ai-edge-quantizer cuts the bias off, and the channel computes something
else. TensorFlow's quantizer widened the weights' range there until the bias took half of its own
(``AdjustWeightsForBiasScale``, ``tensorflow/lite/tools/optimize/quantization_utils.cc``); so do
these ranges.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Range = dict[str, NDArray[Any]]

__all__ = ["wider_weights"]

_HALF_OF_BIASES = 2**30
_LEVELS = 127


def wider_weights(model: bytes, ranges: Mapping[str, Range], steps: int) -> dict[str, Range]:
    """Return the ranges of those weights whose biases would be cut off.

    Parameters
    ----------
    model
        A TFLite model in float32.
    ranges
        ``min`` and ``max`` of its activations by name, as ai-edge-quantizer calibrates them.
    steps
        Into which a range of activations is divided: 255 or 65535.
    """
    from ai_edge_quantizer.utils import tfl_flatbuffer_utils as tfl

    read = tfl.read_model(model)
    graph = read.subgraphs[0]
    wider: dict[str, Range] = {}
    for operator in graph.operators:
        kind = tfl.TFL_OP_CODE_TO_NAME.get(read.operatorCodes[operator.opcodeIndex].builtinCode)
        axis = tfl.TFL_OP_TO_WEIGHT_QUANTIZED_DIM.get(kind)
        indices = list(operator.inputs[:3])
        if axis is None or len(indices) < 3 or -1 in indices:
            continue
        given, weight, bias = (graph.tensors[index] for index in indices)
        values, offsets = (tfl.get_tensor_data(tensor, read.buffers) for tensor in (weight, bias))
        seen = ranges.get(tfl.get_tensor_name(given))
        if values is None or offsets is None or seen is None:
            continue
        others = tuple(other for other in range(values.ndim) if other != axis)
        bound = np.abs(values).max(others, keepdims=True)
        # A grid holds zero, and ai-edge-quantizer makes none narrower than this.
        span = max(float(np.max(seen["max"])), 0.0) - min(float(np.min(seen["min"])), 0.0)
        scale = max(span, 1e-9) / steps
        needed = _LEVELS * np.abs(offsets).reshape(bound.shape) / (_HALF_OF_BIASES * scale)
        if (needed > bound).any():
            bound = np.maximum(bound, needed)
            wider[tfl.get_tensor_name(weight)] = {"min": -bound, "max": bound}
    return wider
