"""Post-training quantization of an exported graph (PT2E), for the targets that lower such graphs.

A target's quantizer says which values are rounded, and how their ranges are found. Layers that the
user keeps in floating point are settled here, alike for every quantizer.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

import torch

from lightmobile.export.quantization.layers import is_kept

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import fx, nn
    from torchao.quantization.pt2e.quantizer import Quantizer

__all__ = ["quantize"]


def quantize(
    module: nn.Module,
    example: torch.Tensor,
    quantizer: Quantizer,
    images: Iterable[NDArray[np.float32]],
    keep_fp: Collection[str] = (),
) -> fx.GraphModule:
    """Return `module` as a graph that rounds values as a target's runtime would.

    Parameters
    ----------
    module
        In its deployed form, in eval mode; it stays as it is.
    example
        Its input, [N, 3, H, W]; only the shape matters.
    images
        Inputs of that shape which show the ranges of activations. Even where these are found as
        they come there has to be one, for weights are looked at as the graph runs.
    keep_fp
        Names of modules inside of `module` that are left in floating point.
    """
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    graph: fx.GraphModule = torch.export.export(module, (example,)).module()
    _keep(graph, keep_fp)
    observed = prepare_pt2e(graph, quantizer)
    with torch.no_grad():
        for image in images:
            observed(torch.from_numpy(image))
    converted: fx.GraphModule = convert_pt2e(observed)
    return converted


def _keep(graph: fx.GraphModule, keep_fp: Collection[str]) -> None:
    """Mark the nodes of kept layers as annotated, with nothing: quantizers pass over those."""
    from torchao.quantization.pt2e.quantizer import QuantizationAnnotation
    from torchao.quantization.pt2e.quantizer.quantizer import Q_ANNOTATION_KEY

    for node in graph.graph.nodes:
        layers = [path for path, _ in node.meta.get("nn_module_stack", {}).values()]
        if any(is_kept(layer, keep_fp) for layer in layers):
            node.meta[Q_ANNOTATION_KEY] = QuantizationAnnotation(_annotated=True)
