"""Weights without a checkpoint, such that answers differ between photographs.

With a paper's initialisation a deep network answers nearly the same for every input, and comparing
two of its forms proves nothing. Here each layer is scaled by one factor to unit output variance on
photographs, and the last layer's bias is centred there. (Standardising channel by channel keeps
less in fp16.)

SiLU, which bends at a scale of its own, and squeeze-and-excitation, a product of features, amplify
the contrast between photographs block by block, until one photograph's answer is fifty times
another's: fp16 keeps 15 dB of EfficientNet-B0. Blocks that have them declare other deviations for
their layers, ``untrained_deviations``, at which they are nearly linear, and fp16 keeps 48 dB.

A long chain of layers without shortcuts forgets what tells photographs apart, until rounding
errors stand out. Its blocks declare ``untrained_identities`` for their layers: the power of the
weight that joins a channel to the one of its own number, in the middle of the kernel, over the
power of all the others together.

The weights are numbers that float16 has: that an exporter rounds them as it should is compared bit
by bit, and what is left of the noise is the arithmetic's. (Trained weights lose 1 to 7 dB more.)

Every machine makes the same bytes: the draws are PCG64's, and the statistics are taken in float64
and rounded to three digits, far coarser than what the order of a processor's additions changes.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from lightmobile.models.bridges.foreign import Foreign
from lightmobile.models.bridges.redraw import redraw
from lightmobile.models.photographs import crops
from lightmobile.models.preprocessing import preprocess

if TYPE_CHECKING:
    from lightmobile.models.registry import ModelFacts

__all__ = ["initialize"]

_CROPS = 4


@torch.no_grad()
def initialize(model: nn.Module, facts: ModelFacts, seed: int = 0) -> None:
    """Give `model` its weights; leave it in evaluation mode.

    A *layer* is a module that owns a weight of two or more axes; its output is linear in that
    weight. Our networks come on the meta device, where every other module with tensors of its own
    has ``reset_parameters``, as PyTorch's do. Networks of other people come with tensors, which
    `redraw` makes the same everywhere.

    Parameters
    ----------
    facts
        The input size, and the preprocessing of the photographs.
    seed
        Another seed, other weights.
    """
    foreign = isinstance(model, Foreign)
    if foreign:
        redraw(model, seed)
    run: dict[nn.Module, None] = {}
    hooks = []
    deviations = _declared(model, "untrained_deviations")
    identities = _declared(model, "untrained_identities")
    for name, module in model.named_modules():
        if _is_layer(module):
            bits = np.random.PCG64([seed, *name.encode()])
            draw = partial(_draw, bits, identities.get(name, 0.0), run)
            hooks.append(module.register_forward_pre_hook(draw))
            scale = partial(_scale, deviations.get(name, 1.0), run)
            hooks.append(module.register_forward_hook(scale))
        elif _owns_tensors(module) and not foreign:
            _reset(module)
    images = preprocess(crops(_CROPS, facts.input_size), facts.preprocessing)
    output = model.eval()(torch.from_numpy(images).double())
    for hook in hooks:
        hook.remove()
    if (
        isinstance(output, torch.Tensor) and run
    ):  # A backbone's features have no bias to centre them.
        _centre([*run][-1], output)
    model.float()


def _declared(model: nn.Module, attribute: str) -> dict[str, float]:
    """Return what blocks declare for their layers, by the layer's whole name."""
    return {
        f"{name}.{layer}".removeprefix("."): value
        for name, module in model.named_modules()
        for layer, value in getattr(module, attribute, {}).items()
    }


def _is_layer(module: nn.Module) -> bool:
    return any(
        name == "weight" and p.ndim > 1 for name, p in module.named_parameters(recurse=False)
    )


def _owns_tensors(module: nn.Module) -> bool:
    own = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
    return bool(own)


def _reset(module: nn.Module) -> None:
    """Give a module that is no layer the values it starts with, in float64."""
    # Module.to_empty would do, but on the meta device it imports SymPy, which takes a second.
    for name, parameter in [*module.named_parameters(recurse=False)]:
        setattr(module, name, nn.Parameter(torch.empty(parameter.shape, dtype=torch.float64)))
    for name, buffer in [*module.named_buffers(recurse=False)]:
        dtype = torch.float64 if buffer.is_floating_point() else buffer.dtype
        setattr(module, name, torch.empty(buffer.shape, dtype=dtype))
    module.reset_parameters()  # type: ignore[operator]


def _draw(
    bits: np.random.PCG64,
    identity: float,
    run: dict[nn.Module, None],
    layer: nn.Module,
    _inputs: object,
) -> None:
    """Draw the layer's weights just before its input arrives; so only one is ever in float64."""
    weight = layer.get_parameter("weight")
    if layer in run:  # its second input
        layer.weight = nn.Parameter(weight.double())
        return
    uniform = 2 * np.random.Generator(bits).random(tuple(weight.shape), np.float32) - 1
    drawn = torch.from_numpy(uniform).double()
    if identity:
        outputs, inputs, height, width = drawn.shape
        own = torch.arange(outputs)
        drawn[own, own % inputs, height // 2, width // 2] += (
            identity * drawn[0].numel() / 3
        ) ** 0.5
    layer.weight = nn.Parameter(drawn)
    bias = getattr(layer, "bias", None)
    if isinstance(bias, nn.Parameter):
        layer.bias = nn.Parameter(torch.zeros(bias.shape, dtype=torch.float64))


def _scale(
    deviation: float,
    run: dict[nn.Module, None],
    layer: nn.Module,
    _inputs: object,
    output: torch.Tensor,
) -> torch.Tensor:
    """Scale the layer's weights, hence its output, to a standard deviation."""
    factor = 1.0
    if layer not in run:
        flat = output.flatten()
        # torch.std takes as long as the convolution; float64 has digits to spare for this formula.
        variance = flat.dot(flat).item() / flat.numel() - flat.mean().item() ** 2
        factor = _rounded(deviation * variance**-0.5) if variance > 0 else 1.0
    run[layer] = None
    layer.weight = nn.Parameter((layer.get_parameter("weight") * factor).half().float())
    return output.mul_(factor)


def _centre(layer: nn.Module, logits: torch.Tensor) -> None:
    bias = getattr(layer, "bias", None)
    if isinstance(bias, nn.Parameter) and bias.shape == logits.shape[1:]:
        mean = [_rounded(-logit) for logit in logits.mean(0).tolist()]
        layer.bias = nn.Parameter(torch.tensor(mean))


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")
