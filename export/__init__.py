"""Lower deployed modules to files for mobile runtimes, each verified against PyTorch.

The public names are loaded on first use; none of them imports torch by itself.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lightmobile.export.artifact import Artifact as Artifact
    from lightmobile.export.inspection.inspect import Inspection as Inspection
    from lightmobile.export.inspection.inspect import inspect as inspect
    from lightmobile.export.manifest import Manifest as Manifest
    from lightmobile.export.manifest import read_manifest as read_manifest
    from lightmobile.export.quantization.search import quantize_search as quantize_search
    from lightmobile.export.session import export as export
    from lightmobile.export.spec import ExportSpec as ExportSpec
    from lightmobile.export.targets import lower as lower
    from lightmobile.export.verification.evaluate import evaluate as evaluate
    from lightmobile.export.verification.verify import rank_layers as rank_layers
    from lightmobile.export.verification.verify import verify as verify

_HOMES = {
    "Artifact": "artifact",
    "ExportSpec": "spec",
    "Inspection": "inspection.inspect",
    "Manifest": "manifest",
    "evaluate": "verification.evaluate",
    "export": "session",
    "inspect": "inspection.inspect",
    "lower": "targets",
    "quantize_search": "quantization.search",
    "rank_layers": "verification.verify",
    "read_manifest": "manifest",
    "verify": "verification.verify",
}

__all__ = [
    "Artifact",
    "ExportSpec",
    "Inspection",
    "Manifest",
    "evaluate",
    "export",
    "inspect",
    "lower",
    "quantize_search",
    "rank_layers",
    "read_manifest",
    "verify",
]


class _CallablePackage(ModuleType):
    """A package that is also the function it is named after.

    The public function is `lightmobile.export`, and so is this package: once anything has
    imported the package, Python binds that name to it, and ``from lightmobile import export``
    gives the package. Called, it does what the function does, so both spellings work whatever
    was imported before.
    """

    def __call__(self, *args: Any, **kwargs: Any) -> list[Artifact]:
        from lightmobile.export.session import export

        return export(*args, **kwargs)


sys.modules[__name__].__class__ = _CallablePackage


def __getattr__(name: str) -> Any:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return __all__
