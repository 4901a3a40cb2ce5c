"""Which values Core ML rounds to int8: those that go into layers, and those that come out.

Layers are convolutions and linear ones. Weights are rounded by output channel, activations by
tensor to the range from the least to the most that the images show (the moving averages that
Apple's settings default to forget extremes, which costs 3 dB and more). In fp16 stay

- sums and products: int8 would not make them faster, and rounds a shortcut again at every block;
- what goes into the head, the layers after the global pooling: averages that hardly differ
  between images, next to which a step of int8 is large. FasterNet-T0 keeps 30 dB so, and 13 dB
  with them rounded. Few numbers pass there.

Where a layer computes in int8 its weights are rounded around 0, which saves the product of zero
points. Where it computes in fp16 they are dequantized first, and use the whole of their range;
small ones stay as they are, as coremltools leaves them. That costs FalconNet no size, and spares it
4 dB.

These are the patterns of ``executorch.backends.apple.coreml.quantizer.CoreMLQuantizer``. That one
exports each of 400 patterns before it looks for it, which takes minutes; its settings round weights
around 0 only where they round activations so too; and it lets what follows a layer in floating
point stay there. ``coremltools.optimize.coreml`` computes scales in fp16, where those of weights
below 1e-5 become 0.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torchao.quantization.pt2e import MinMaxObserver, PerChannelMinMaxObserver
from torchao.quantization.pt2e.quantizer import (
    QuantizationAnnotation,
    QuantizationSpec,
    Quantizer,
)
from torchao.quantization.pt2e.quantizer.quantizer import Q_ANNOTATION_KEY

from lightmobile.export.quantization.layers import is_kept

if TYPE_CHECKING:
    from torch.fx import GraphModule, Node

__all__ = ["Int8Quantizer"]

_LAYERS = {"conv1d", "conv2d", "conv3d", "linear"}
# Computed with the layer before, so that only their output is rounded.
_FUSED = {"elu", "gelu", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu"}
_FUSED |= {"relu", "relu6", "sigmoid", "silu", "tanh"}
# Elements; the threshold of coremltools.
_SMALL = 2048


class _Fp16Scales(PerChannelMinMaxObserver):  # type: ignore[misc]
    """Finds scales that the package holds exactly, which has them in fp16.

    They are rounded up, so that no weight lies beyond the ends of its grid.
    """

    def calculate_qparams(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return scales and zero points."""
        scale, zero_point = super().calculate_qparams()
        exact = scale.numpy()
        near = exact.astype(np.float16)
        above = np.where(near < exact, np.nextafter(near, np.float16(np.inf)), near)
        return torch.from_numpy(above.astype(np.float32)), zero_point


_ACTIVATION = QuantizationSpec(
    torch.uint8, MinMaxObserver, quant_min=0, quant_max=255, qscheme=torch.per_tensor_affine
)
_WEIGHT = QuantizationSpec(
    torch.int8,
    _Fp16Scales,
    quant_min=-127,
    quant_max=127,
    qscheme=torch.per_channel_symmetric,
    ch_axis=0,
)
_WEIGHT_ALONE = replace(_WEIGHT, quant_min=-128, qscheme=torch.per_channel_affine)


class Int8Quantizer(Quantizer):  # type: ignore[misc]
    """Tells PT2E which values to round.

    Parameters
    ----------
    fp16
        Names of modules whose inputs and outputs stay in fp16; the empty one is the whole network.
    """

    def __init__(self, fp16: Collection[str]) -> None:
        self._fp16 = fp16

    def annotate(self, model: GraphModule) -> GraphModule:
        """Mark the values of all layers that are not marked yet."""
        for node in model.graph.nodes:
            if _operator(node) in _LAYERS and Q_ANNOTATION_KEY not in node.meta:
                self._annotate(node)
        return model

    def validate(self, model: GraphModule) -> None:
        """Nothing here depends on the graph as a whole."""

    def _annotate(self, layer: Node) -> None:
        nodes: Any = layer.args
        value, weight = nodes[:2]
        paths = [path for path, _ in layer.meta["nn_module_stack"].values()]
        if any(is_kept(path, self._fp16) for path in paths):
            large = weight.meta["val"].numel() > _SMALL
            layer.meta[Q_ANNOTATION_KEY] = QuantizationAnnotation(
                {weight: _WEIGHT_ALONE} if large else {}
            )
            return
        last = _activation_of(layer) or layer
        layer.meta[Q_ANNOTATION_KEY] = QuantizationAnnotation(
            {value: _ACTIVATION, weight: _WEIGHT}, _ACTIVATION if last is layer else None
        )
        if last is not layer:
            last.meta[Q_ANNOTATION_KEY] = QuantizationAnnotation(output_qspec=_ACTIVATION)


def _activation_of(layer: Node) -> Node | None:
    """Return what is all that reads the layer, if it is an activation to be rounded."""
    reader, *others = layer.users
    if others or _operator(reader) not in _FUSED or Q_ANNOTATION_KEY in reader.meta:
        return None
    return reader


def _operator(node: Node) -> str:
    # Those that write in place end in _.
    return getattr(node.target, "_opname", "").rstrip("_")
