"""Export light CNNs to ExecuTorch, Core ML and TFLite, prove each file, measure it on devices.

The public names are loaded on first use, so that ``import lightmobile`` stays instant.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lightmobile.device_bench import bench as bench
    from lightmobile.device_bench import bench_ops as bench_ops
    from lightmobile.device_bench import run_study as run_study
    from lightmobile.errors import LightmobileError as LightmobileError
    from lightmobile.export import ExportSpec as ExportSpec
    from lightmobile.export import evaluate as evaluate
    from lightmobile.export import export as export
    from lightmobile.export import inspect as inspect
    from lightmobile.export import lower as lower
    from lightmobile.export import verify as verify
    from lightmobile.models import complexity as complexity
    from lightmobile.models import create_model as create_model
    from lightmobile.models import fuse as fuse
    from lightmobile.models import list_models as list_models
    from lightmobile.models import model_info as model_info
    from lightmobile.models import register_model as register_model

__version__ = "0.1.0"

_HOMES = {
    "ExportSpec": "lightmobile.export",
    "LightmobileError": "lightmobile.errors",
    "bench": "lightmobile.device_bench",
    "bench_ops": "lightmobile.device_bench",
    "complexity": "lightmobile.models",
    "create_model": "lightmobile.models",
    "evaluate": "lightmobile.export",
    "export": "lightmobile.export",
    "inspect": "lightmobile.export",
    "fuse": "lightmobile.models",
    "list_models": "lightmobile.models",
    "lower": "lightmobile.export",
    "model_info": "lightmobile.models",
    "register_model": "lightmobile.models",
    "run_study": "lightmobile.device_bench",
    "verify": "lightmobile.export",
}

__all__ = [
    "ExportSpec",
    "LightmobileError",
    "__version__",
    "bench",
    "bench_ops",
    "complexity",
    "create_model",
    "evaluate",
    "export",
    "fuse",
    "inspect",
    "list_models",
    "lower",
    "model_info",
    "register_model",
    "run_study",
    "verify",
]


def __getattr__(name: str) -> Any:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module 'lightmobile' has no attribute {name!r}") from None
    return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    return __all__
