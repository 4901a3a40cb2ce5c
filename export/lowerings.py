"""Operators that have several exactly equal forms, of which one is best on a runtime."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

__all__ = ["LOWERINGS", "Lowering", "difference", "forms_in"]


@dataclass(frozen=True)
class Lowering:
    """One operator and its forms.

    Attributes
    ----------
    operator
        Its name in manifests.
    forms
        Their names, the default first.
    example
        Returns a module in training form that deploys to the form named.
    channels
        Of its input.
    """

    operator: str
    forms: tuple[str, ...]
    example: Callable[[str], nn.Module]
    channels: int = 8


def _pconv(form: str) -> nn.Module:
    from lightmobile.models.fasternet import fasternet_block

    if form == "t_shaped":
        return fasternet_block(8, t_shaped=True)
    return fasternet_block(8, pconv="slicing" if form == "slicing" else "split_cat")


def _hetconv(form: str) -> nn.Module:
    from lightmobile.models.layers.hetconv import HetConv, HetConvNorm

    return HetConvNorm(HetConv(8, 8, 4, form="grouped" if form == "grouped" else "dense"))


def _ref_co(form: str) -> nn.Module:
    from lightmobile.models.layers.ref_co import RefCO

    return RefCO(8, 16, form="factors" if form == "factors" else "dense")


def _shuffle(form: str) -> nn.Module:
    from lightmobile.models.shufflenet_v2 import ShuffleNetV2

    return ShuffleNetV2(
        depths=(3,),
        widths=(16,),
        head_width=8,
        form="folded" if form == "folded" else "interleaved",
    )


LOWERINGS = {
    lowering.operator: lowering
    for lowering in (
        # torch.split has two outputs, which XNNPACK's partitioner leaves to the runtime: every
        # PConv cuts the graph, and FasterNet-T0 falls into 14 delegated pieces. Slices do not.
        Lowering("pconv", ("slicing", "split_cat", "t_shaped"), _pconv),
        Lowering("hetconv", ("grouped", "dense"), _hetconv),
        Lowering("ref_co", ("factors", "dense"), _ref_co),
        Lowering("shuffle", ("folded", "interleaved"), _shuffle, channels=3),
    )
}


def forms_in(module: nn.Module) -> dict[str, str]:
    """Return the form of each operator in the deployed `module`, ``{"pconv": "slicing"}``."""
    from lightmobile.models.layers.form import forms_of

    found: dict[str, set[str]] = {}
    for operator, form in forms_of(module):
        found.setdefault(operator, set()).add(form)
    return {operator: "+".join(sorted(forms)) for operator, forms in found.items()}


def difference(operator: str, seed: int = 0) -> float:
    """Return the largest difference between the forms of `operator`, on random input in float64.

    It is relative to the largest output. Forms that are equal in exact arithmetic give rounding
    errors, around 1e-16; forms that compute the same bits give 0.
    """
    import torch

    from lightmobile.models.fusion import fuse

    lowering = LOWERINGS[operator]
    outputs = []
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        for form in lowering.forms:
            torch.manual_seed(seed)
            layer = lowering.example(form).double()
            for buffer in layer.buffers():
                if buffer.is_floating_point():  # The statistics of norms.
                    buffer.uniform_(0.5, 2)
            outputs.append(
                fuse(layer)(torch.randn(2, lowering.channels, 9, 7, dtype=torch.float64))
            )
    first, *others = outputs
    return max(float((first - other).abs().max() / first.abs().max()) for other in others)
