"""The cells that the tables of operators and of models share."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lightmobile.device_bench.findings import Cell
    from lightmobile.device_bench.results import Result
    from lightmobile.device_bench.roofline.bounds import Bound

__all__ = ["bound_cells", "cost_cells", "latency_cells"]


def cost_cells(result: Result) -> dict[str, Cell]:
    """Return what the artifact costs, and unless it was emulated the rate; none if unknown."""
    ran = result.configuration
    if ran.facts is None or ran.facts.cost is None:
        return {}
    cost = ran.facts.cost
    ideal = cost.ideal_bytes
    cells: dict[str, Cell] = {
        "mmacs": cost.macs / 1e6,
        "ideal_mb": ideal / 1e6,
        "intensity": cost.macs / ideal if ideal else None,
    }
    if cost.lowered_bytes:
        cells["lowered_mb"] = cost.lowered_bytes / 1e6
        cells["lowered_intensity"] = cost.macs / cost.lowered_bytes
    if not ran.emulated:
        cells["gflops"] = cost.macs / result.latency.median
    return cells


def latency_cells(result: Result) -> dict[str, Cell]:
    """Return the median latency and its interval; none of an emulator's."""
    if result.configuration.emulated:
        return {}
    found = result.latency
    return {
        "latency_ms": found.median / 1e6,
        "latency_low_ms": _ms(found.ci95.low),
        "latency_high_ms": _ms(found.ci95.high),
    }


def bound_cells(bound: Bound) -> dict[str, Cell]:
    """Return what binds, and the share of the roof with its interval."""
    return {
        "binds": bound.binds,
        "share": bound.share,
        "share_low": bound.share_ci95.low,
        "share_high": bound.share_ci95.high,
    }


def _ms(nanoseconds: float | None) -> float | None:
    return None if nanoseconds is None else nanoseconds / 1e6
