"""Measure artifacts on devices: runner process -> samples -> store -> statistics -> report."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lightmobile.device_bench.benchmark import BenchReport as BenchReport
    from lightmobile.device_bench.benchmark import bench as bench
    from lightmobile.device_bench.results import Result as Result
    from lightmobile.device_bench.store import Store as Store

_HOMES = {
    "BenchReport": "lightmobile.device_bench.benchmark",
    "Result": "lightmobile.device_bench.results",
    "Store": "lightmobile.device_bench.store",
    "bench": "lightmobile.device_bench.benchmark",
}

__all__ = ["BenchReport", "Result", "Store", "bench"]


def __getattr__(name: str) -> Any:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    return __all__
