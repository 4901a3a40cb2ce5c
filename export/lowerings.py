"""Operators that have several exactly equal forms, of which one is best on a runtime."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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
    layer
        The class that computes it; an instance has the name of its form in ``.form``.
    forms
        Their names, the default first.
    example
        Returns such a layer, of any size, with random weights.
    """

    operator: str
    layer: Callable[[], type[nn.Module]]
    forms: tuple[str, ...]
    example: Callable[[], Any]


def _pconv() -> type[nn.Module]:
    from lightmobile.models.layers.pconv import PConv

    return PConv


LOWERINGS = {
    lowering.operator: lowering
    for lowering in (
        # torch.split has two outputs, which XNNPACK's partitioner leaves to the runtime: every
        # PConv cuts the graph, and FasterNet-T0 falls into 14 delegated pieces. Slices do not.
        Lowering("pconv", _pconv, ("slicing", "split_cat"), lambda: _pconv()(8)),
    )
}


def forms_in(module: nn.Module) -> dict[str, str]:
    """Return the form of each operator in `module`, ``{"pconv": "slicing"}``."""
    found: dict[str, set[str]] = {}
    for layer in module.modules():
        for lowering in LOWERINGS.values():
            if isinstance(layer, lowering.layer()):
                found.setdefault(lowering.operator, set()).add(str(layer.form))
    return {operator: "+".join(sorted(forms)) for operator, forms in found.items()}


def difference(operator: str, seed: int = 0) -> float:
    """Return the largest difference between the forms of `operator` on random input.

    Exactly equal forms give 0.0.
    """
    import torch

    lowering = LOWERINGS[operator]
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        torch.manual_seed(seed)
        layer = lowering.example()
        image = torch.randn(2, 8, 9, 7)
        outputs = []
        for form in lowering.forms:
            layer.form = form
            outputs.append(layer(image))
    return max(float((a - b).abs().max()) for a, b in itertools.combinations(outputs, 2))
