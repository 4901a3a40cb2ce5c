"""Which values XNNPACK rounds to int8, and on which grids.

Static
    ExecuTorch's own quantizer chooses the values: inputs and outputs of convolutions, linear
    layers, additions, multiplications and concatenations. What it would do worse is annotated
    before it looks:

    - The head, all that follows the global pooling. Its quantizer would give an average the range
      of what was averaged, of which it uses a fraction, and cut off logits of any image beyond
      those of the calibration. Few numbers pass there; so the pooling stays in floating point,
      and the layers find the range of each image as it comes.
    - A convolution before ReLU6. Rounded in between, most levels lie where the clamp removes them.
Dynamic
    Weights, and the inputs of their layers as they come; all else stays in floating point.
    XNNPACK has no such depthwise convolution. Behind a reshape (the shuffle of channels) such a
    convolution fails when it runs: ExecuTorch 1.5.1 transposes its input, once that is quantized,
    which XNNPACK cannot. These keep their weights in float32.

Every range of an activation is from the least to the most that the images show. Ranges of least
squared error (`HistogramObserver`) are no better on the networks of the zoo, and where an image
goes beyond them they are worse.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import torch
from executorch.backends.transforms.duplicate_dynamic_quant_chain import (
    DuplicateDynamicQuantChainPass,
)
from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import XNNPACKQuantizer
from torchao.quantization.pt2e import (
    MinMaxObserver,
    PerChannelMinMaxObserver,
    PlaceholderObserver,
)
from torchao.quantization.pt2e.quantizer import (
    DerivedQuantizationSpec,
    QuantizationAnnotation,
    QuantizationConfig,
    QuantizationSpec,
    Quantizer,
)
from torchao.quantization.pt2e.quantizer.quantizer import Q_ANNOTATION_KEY

from lightmobile.export.quantization.pt2e import quantize

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn
    from torch.fx import Graph, GraphModule, Node

__all__ = ["DynamicQuantizer", "StaticQuantizer", "quantized"]

_CONVOLUTION = torch.ops.aten.conv2d.default
_PRODUCTS = (_CONVOLUTION, torch.ops.aten.linear.default)
_RESHAPES = (
    torch.ops.aten.channel_shuffle.default,
    torch.ops.aten.flatten.using_ints,
    torch.ops.aten.pixel_shuffle.default,
    torch.ops.aten.pixel_unshuffle.default,
    torch.ops.aten.reshape.default,
    torch.ops.aten.unflatten.int,
    torch.ops.aten.view.default,
)
_RELU6 = (torch.ops.aten.hardtanh.default, torch.ops.aten.hardtanh_.default)

# XNNPACK adds and multiplies only on grids whose steps are not too far from each other: no step of
# an activation is less than this one, which the vendor's quantizer has too.
_ACTIVATION = QuantizationSpec(
    torch.int8,
    MinMaxObserver.with_args(eps=2**-12),
    quant_min=-128,
    quant_max=127,
    qscheme=torch.per_tensor_affine,
)
_RANGE_OF_EACH = QuantizationSpec(
    torch.int8,
    PlaceholderObserver,
    quant_min=-128,
    quant_max=127,
    qscheme=torch.per_tensor_affine,
    is_dynamic=True,
)
# The vendor's quantizer has 2**-12 here as well, which leaves few levels to weights below 0.03.
_LEAST_WEIGHT_STEP = 2**-40
_WEIGHT = QuantizationSpec(
    torch.int8,
    PerChannelMinMaxObserver.with_args(eps=_LEAST_WEIGHT_STEP),
    quant_min=-127,
    quant_max=127,
    qscheme=torch.per_channel_symmetric,
    ch_axis=0,
)


def quantized(
    module: nn.Module,
    example: torch.Tensor,
    images: Iterable[NDArray[np.float32]] | None,
    keep_fp: Collection[str] = (),
) -> GraphModule:
    """Return `module` as XNNPACK is to compute it; see `quantize`.

    Parameters
    ----------
    images
        What shows the ranges of activations; they are found as they come where None.
    """
    if images is None:
        # Weights too are looked at as the graph runs; what it runs on does not matter.
        graph = quantize(module, example, DynamicQuantizer(), [example.numpy()], keep_fp)
    else:
        graph = quantize(module, example, StaticQuantizer(), images, keep_fp)
    # Two layers that share an input which is rounded as it comes get wrong answers from ExecuTorch
    # 1.5.1, without a word. Its own pass gives each its own.
    DuplicateDynamicQuantChainPass()(graph)
    return graph


class StaticQuantizer(XNNPACKQuantizer):  # type: ignore[misc]
    """Rounds weights and activations, these to the ranges that calibration shows."""

    def __init__(self) -> None:
        super().__init__()
        self.set_global(QuantizationConfig(_ACTIVATION, _ACTIVATION, _WEIGHT, None))

    def annotate(self, model: GraphModule) -> GraphModule:
        """Note on each node of `model` which of its inputs and outputs are rounded."""
        for node in _head(model.graph):
            _settle(node, _as_it_comes(node))
        for node in model.graph.nodes:
            if node.target in _RELU6:
                _fuse(node)
        super().annotate(model)
        for node in model.graph.nodes:
            if node.target in _PRODUCTS:
                _leave_room(model, node)
        return model


class DynamicQuantizer(Quantizer):  # type: ignore[misc]
    """Rounds weights, and the inputs of their layers to the range of each image."""

    def annotate(self, model: GraphModule) -> GraphModule:
        """Note on each node of `model` which of its inputs are rounded."""
        for node in model.graph.nodes:
            _settle(node, _as_it_comes(node))
        return model

    def validate(self, model: GraphModule) -> None:
        """See to nothing: it is a part of the interface."""


def _head(graph: Graph) -> Iterator[Node]:
    """Yield the last nodes, as far as they give one number a channel."""
    for node in reversed(graph.nodes):
        if node.op == "call_function":
            value = node.meta["val"]
            if not isinstance(value, torch.Tensor) or value.shape[2:].numel() > 1:
                return
            yield node


def _settle(node: Node, inputs: dict[Any, Any], output: QuantizationSpec | None = None) -> None:
    """Annotate `node`, unless it already is."""
    if Q_ANNOTATION_KEY not in node.meta:
        node.meta[Q_ANNOTATION_KEY] = QuantizationAnnotation(inputs, output, _annotated=True)


def _as_it_comes(node: Node) -> dict[Any, Any]:
    """Return how the inputs of `node` are rounded without calibration, where they can be."""
    if node.target not in _PRODUCTS:
        return {}
    given, weight, _ = _arguments(node)
    depthwise = weight.meta["val"].shape[1] == 1
    if node.target is _CONVOLUTION and (depthwise or _is_reshaped(given)):
        return {}
    return {given: _RANGE_OF_EACH, weight: _WEIGHT}


def _is_reshaped(node: Node) -> bool:
    """Tell whether a reshape lies between `node` and the convolutions before it."""
    if node.op != "call_function" or node.target is _CONVOLUTION:
        return False
    return node.target in _RESHAPES or any(map(_is_reshaped, node.all_input_nodes))


def _arguments(product: Node) -> tuple[Any, Any, Any]:
    """Return the nodes of its input, its weight and its bias, which may be None."""
    given, weight, bias, *_ = [*product.args, None]
    return given, weight, bias


def _fuse(clamp: Any) -> None:
    """Round what a convolution gives after its clamp, and not before."""
    convolution = clamp.args[0]
    annotated = any(Q_ANNOTATION_KEY in node.meta for node in (clamp, convolution))
    if convolution.target is _CONVOLUTION and len(convolution.users) == 1 and not annotated:
        given, weight, _ = _arguments(convolution)
        _settle(convolution, {given: _ACTIVATION, weight: _WEIGHT})
        _settle(clamp, {}, _ACTIVATION)


def _leave_room(model: GraphModule, node: Node) -> None:
    """Widen the steps of the weights of `node` where its biases would not fit.

    A bias counts in steps of the input's times the weights', in 32 bits; XNNPACK's serializer cuts
    off what is beyond. Where a channel's weights are next to nothing (pruned, or dead when batch
    norm was folded) the bias is all that it has. TensorFlow's quantizer widened such steps until
    the bias took half of its range (``AdjustWeightsForBiasScale`` in TFLite's
    ``quantization_utils.cc``).
    """
    given, weight, bias = _arguments(node)
    annotation = node.meta.get(Q_ANNOTATION_KEY, QuantizationAnnotation())
    inputs = annotation.input_qspec_map
    if inputs.get(given) is not _ACTIVATION or bias is None:
        return
    weights, biases = (attrgetter(argument.target)(model) for argument in (weight, bias))

    def grid(observers: Sequence[Any]) -> tuple[torch.Tensor, torch.Tensor]:
        step, _ = observers[0].calculate_qparams()
        own = weights.abs().flatten(1).amax(1) / _WEIGHT.quant_max
        steps = torch.maximum(own, biases.abs() / (step * 2**30)).clamp(min=_LEAST_WEIGHT_STEP)
        return steps, torch.zeros_like(steps, dtype=torch.int64)

    inputs[weight] = DerivedQuantizationSpec(
        derived_from=[(given, node)],
        derive_qparams_fn=grid,
        dtype=_WEIGHT.dtype,
        quant_min=_WEIGHT.quant_min,
        quant_max=_WEIGHT.quant_max,
        qscheme=_WEIGHT.qscheme,
        ch_axis=_WEIGHT.ch_axis,
    )
