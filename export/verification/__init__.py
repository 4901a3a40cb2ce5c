"""Prove an artifact: what it computes and what it holds, against the PyTorch module."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lightmobile.export.verification.parity import check as check
    from lightmobile.export.verification.reference import Reference as Reference
    from lightmobile.export.verification.reference import make_reference as make_reference

_HOMES = {
    "Reference": "reference",
    "check": "parity",
    "make_reference": "reference",
}

__all__ = ["Reference", "check", "make_reference"]


def __getattr__(name: str) -> Any:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return __all__
