"""What `lightmobile info` prints of a model."""

from __future__ import annotations

from typing import Any

from lightmobile.models.cost import complexity
from lightmobile.models.registry import model_info

__all__ = ["describe"]


def describe(name: str) -> dict[str, Any]:
    """Return the facts and the cost of model `name`, in both forms, as plain JSON values.

    Raises
    ------
    UsageError
        There is no such model.
    """
    facts = model_info(name)
    return {
        "name": facts.name,
        "family": facts.family,
        "input_size": list(facts.input_size),
        "training": _cost(name, fused=False),
        "fused": _cost(name, fused=True),
        "published": dict(facts.published),
        "source": facts.source,
        "paper": facts.paper,
    }


def _cost(name: str, *, fused: bool) -> dict[str, int]:
    cost = complexity(name, fused=fused)
    return {"params": cost.params, "macs": cost.macs, "activations": cost.activations}
