"""Which of its exactly equal forms a deployed layer has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from torch import nn

__all__ = ["forms_of", "with_form"]

Layer = TypeVar("Layer", bound=nn.Module)


def with_form(layer: Layer, operator: str, form: str) -> Layer:
    """Note on `layer` the operator that it computes, and its form; manifests tell both."""
    # A note, not a class: what a dense form leaves is a plain convolution.
    object.__setattr__(layer, "form_of", (operator, form))
    return layer


def forms_of(module: nn.Module) -> Iterator[tuple[str, str]]:
    """Yield each layer's operator and form, as far as they were noted."""
    for layer in module.modules():
        if noted := getattr(layer, "form_of", None):
            yield noted
