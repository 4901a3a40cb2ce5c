"""Measure artifacts on devices: runner process -> samples -> store -> statistics -> report."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lightmobile.device_bench.benchmark import BenchReport as BenchReport
    from lightmobile.device_bench.benchmark import bench as bench
    from lightmobile.device_bench.findings import Findings as Findings
    from lightmobile.device_bench.results import Result as Result
    from lightmobile.device_bench.roofline.bench_ops import bench_ops as bench_ops
    from lightmobile.device_bench.store import Store as Store
    from lightmobile.device_bench.studies.run import run_study as run_study

_HOMES = {
    "BenchReport": "lightmobile.device_bench.benchmark",
    "Findings": "lightmobile.device_bench.findings",
    "Result": "lightmobile.device_bench.results",
    "Store": "lightmobile.device_bench.store",
    "bench": "lightmobile.device_bench.benchmark",
    "bench_ops": "lightmobile.device_bench.roofline.bench_ops",
    "run_study": "lightmobile.device_bench.studies.run",
}

__all__ = ["BenchReport", "Findings", "Result", "Store", "bench", "bench_ops", "run_study"]


def __getattr__(name: str) -> Any:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    return __all__
