"""Evaluate a saved Core ML package without Core ML: its MIL program, operator by operator.

Reports label the method ``mil-torch``, never "Core ML": it proves what the file says, not what
Apple's runtime makes of it. :mod:`.package` opens the package, :mod:`.program` holds the loaded
program, and one module a kind of operator holds the arithmetic, each function written from the
operator's documentation in ``coremltools.converters.mil.mil.ops.defs``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lightmobile.export.verification.mil.program import MilProgram as MilProgram
    from lightmobile.export.verification.mil.types import TensorType as TensorType

_HOMES = {"MilProgram": "program", "TensorType": "types"}

__all__ = ["MilProgram", "TensorType"]


def __getattr__(name: str) -> Any:
    # A package can be opened without PyTorch, which its evaluation takes.
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
