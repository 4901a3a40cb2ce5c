"""From the training form to the deployed form."""

from __future__ import annotations

import copy
from typing import Any, Protocol, runtime_checkable

from torch import nn

__all__ = ["fuse", "keep_training_form"]


@runtime_checkable
class Reparameterizable(Protocol):
    """A layer that is simpler at inference than in training."""

    def fused(self) -> nn.Module:
        """Return the deployed form, sharing nothing with this layer."""
        ...


_KEPT = "keeps_training_form"


def keep_training_form(module: nn.Module) -> None:
    """Let `fuse` leave `module` as it is, to be deployed unfused and compared."""
    object.__setattr__(module, _KEPT, True)


def fuse(module: nn.Module) -> nn.Module:
    """Return the deployed form of `module`, which stays as it is.

    Each layer with a ``fused()`` is replaced by what that returns, all else is copied. The result
    is in evaluation mode and computes what `module` computes there, up to rounding.

    Works on the meta device too.
    """
    if getattr(module, _KEPT, False):
        return copy.deepcopy(module).eval()
    forms: dict[int, Any] = {}
    _collect(module, forms)
    # deepcopy takes an object found in its memo for already copied, which puts the deployed
    # layers in their places, also where a layer is used twice.
    return copy.deepcopy(module, forms).eval()


def _collect(module: nn.Module, forms: dict[int, Any]) -> None:
    # A network of other people may have an attribute of that name which is no function.
    if isinstance(module, Reparameterizable) and callable(module.fused):
        forms[id(module)] = module.fused()
        return
    for child in module.children():
        _collect(child, forms)
