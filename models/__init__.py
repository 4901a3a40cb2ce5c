"""Models by name, in their training form, and `fuse` to their deployed form.

The names are loaded on first use: listing models and their facts imports no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lightmobile.models.checkpoints import load_checkpoint as load_checkpoint
    from lightmobile.models.cost import Complexity as Complexity
    from lightmobile.models.cost import complexity as complexity
    from lightmobile.models.description import describe as describe
    from lightmobile.models.fusion import fuse as fuse
    from lightmobile.models.prepared import Prepared as Prepared
    from lightmobile.models.prepared import prepare as prepare
    from lightmobile.models.registry import ModelFacts as ModelFacts
    from lightmobile.models.registry import create_model as create_model
    from lightmobile.models.registry import list_models as list_models
    from lightmobile.models.registry import model_info as model_info
    from lightmobile.models.registry import register_model as register_model

# No module bears the name of a function: importing it would hide the function behind the module.
_HOMES = {
    "Complexity": "cost",
    "ModelFacts": "registry",
    "Prepared": "prepared",
    "complexity": "cost",
    "create_model": "registry",
    "describe": "description",
    "fuse": "fusion",
    "list_models": "registry",
    "load_checkpoint": "checkpoints",
    "model_info": "registry",
    "prepare": "prepared",
    "register_model": "registry",
}

__all__ = [
    "Complexity",
    "ModelFacts",
    "Prepared",
    "complexity",
    "create_model",
    "describe",
    "fuse",
    "list_models",
    "load_checkpoint",
    "model_info",
    "prepare",
    "register_model",
]


def __getattr__(name: str) -> Any:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module 'lightmobile.models' has no attribute {name!r}") from None
    return getattr(importlib.import_module(f"lightmobile.models.{home}"), name)


def __dir__() -> list[str]:
    return __all__
