"""Tables that several studies have in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lightmobile.device_bench.findings import Cell, Chart, Column, Point, Row, Series, Table
from lightmobile.device_bench.schema_artifact import Cost
from lightmobile.device_bench.studies.estimate import Estimate
from lightmobile.device_bench.studies.measured import Measured

__all__ = ["COUNTS", "bars", "cells", "counts", "estimated", "networks", "point", "ratios"]

COUNTS = (
    Column("network", "network"),
    Column("macs", "MACs M", 4),
    Column("params", "parameters M", 4),
    Column("activations", "activations M", 4),
    Column("ideal_mb", "traffic MB, ideal"),
    Column("lowered_mb", "traffic MB, as lowered"),
)


def counts(cost: Cost | None) -> dict[str, Cell]:
    """Return the cells of the counted columns; empty where nothing was counted."""
    if cost is None:
        return {}
    lowered = cost.lowered_bytes
    return {
        "macs": cost.macs / 1e6,
        "params": cost.params / 1e6,
        "activations": cost.activations / 1e6,
        "ideal_mb": cost.ideal_bytes / 1e6,
        "lowered_mb": None if lowered is None else lowered / 1e6,
    }


def estimated(key: str, title: str, digits: int = 3) -> Column:
    """Return the column of a figure that has an interval."""
    return Column(key, title, digits, low=f"{key}_low", high=f"{key}_high")


def cells(key: str, estimate: Estimate | None) -> dict[str, Cell]:
    """Return the cells of a figure and of its interval; none where it is unknown."""
    if estimate is None:
        return {}
    return {key: estimate.value, f"{key}_low": estimate.low, f"{key}_high": estimate.high}


def networks(
    measured: Measured,
    parts: Iterable[str],
    title: str,
    *,
    more: Mapping[str, Mapping[str, Cell]] | None = None,
    extra: tuple[Column, ...] = (),
) -> Table:
    """Return a table of what was counted and measured of `parts`, and `more` of each."""
    rows = []
    for part in parts:
        if (result := measured.found.get(part)) is None:
            continue
        peak = result.peak_memory_bytes
        row: dict[str, Cell] = {
            "network": measured.names[part],
            **counts(measured.cost(part)),
            **cells("ms", measured.latency(part)),
            "peak_mb": None if peak is None else peak / 1e6,
            **(more or {}).get(part, {}),
        }
        rows.append(Row(row, (result.id,)))
    timed = (estimated("ms", "median ms", 4), Column("peak_mb", "peak memory MB"))
    return Table(title, (*COUNTS, *timed, *extra), tuple(rows))


def ratios(
    title: str, found: Iterable[tuple[str, Estimate | None, Mapping[str, Cell]]], *, what: str
) -> Table:
    """Return a table of ratios with their intervals, one a row, and what else each row holds."""
    listed = [(label, each, more) for label, each, more in found if each is not None]
    keys = dict.fromkeys(key for _, _, more in listed for key in more)
    return Table(
        title,
        (Column("compared", "compared"), estimated("ratio", what), *(Column(k, k) for k in keys)),
        tuple(
            Row({"compared": label, **cells("ratio", each), **more}, each.results)
            for label, each, more in listed
        ),
    )


def point(x: float, estimate: Estimate, label: str = "") -> Point:
    """Return an estimate as a point of a chart."""
    return Point(x, estimate.value, estimate.low, estimate.high, label, estimate.results)


def bars(title: str, y: str, found: Iterable[tuple[str, Estimate | None]]) -> Chart:
    """Return a chart of bars with their intervals, in the order given."""
    known = [(label, each) for label, each in found if each is not None]
    points = tuple(point(place, each, label) for place, (label, each) in enumerate(known))
    return Chart(title, "", y, (Series(y, "bars", points),))
