"""Where a network's parameters, arithmetic, bytes and time go: by stage, and by kind of operator.

Parameters, MACs and bytes are counted in the network; times come from a profile, whose operators
are told apart by their order: a runtime runs convolutions and matrix products as the network has
them. Where their numbers differ (another lowering, fused ones), the time by stage stays unknown.
"""

from __future__ import annotations

import re
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from lightmobile.device_bench.findings import Cell, Column, Row, Table
from lightmobile.errors import UsageError

if TYPE_CHECKING:
    from lightmobile.device_bench.results import Result
    from lightmobile.device_bench.schema import ProfileRow
    from lightmobile.models.cost import Operator

__all__ = ["share_tables"]

_PRODUCTS = re.compile(r"Convolution|Fully Connected|GEMM|CONV_2D|FULLY_CONNECTED", re.IGNORECASE)
_COLUMNS = (
    Column("params", "parameters %"),
    Column("macs", "MACs %"),
    Column("bytes", "ideal bytes %"),
    Column("time", "time %"),
)


def share_tables(result: Result) -> Iterator[Table]:
    """Yield the shares of a profiled model by stage and by kind; none of what is no model here."""
    from lightmobile.models.cost import complexity

    model = result.configuration.model
    try:
        rows = [row for row in complexity(model, fused=True).rows if not row.is_in_passing]
    except UsageError:
        return
    times = _times(result, rows)
    where = f"{model} on {result.configuration.runtime}"
    for title, key, group in (
        ("stage", "Shares by stage", _stage),
        ("kind", "Shares by kind of operator", lambda row: row.family),
    ):
        yield Table(
            f"{key}, {where}",
            (Column(title, title), *_COLUMNS),
            tuple(_shares(result, title, rows, times, group)),
        )


def _stage(row: Operator) -> str:
    """Return the part of the network: ``stages.2``, ``head``, of ``stages.2.blocks.0.conv``."""
    head = row.name.split(".")
    numbered = len(head) > 1 and head[1].isdigit()
    return ".".join(head[:2]) if numbered else head[0] or "(whole)"


def _shares(
    result: Result,
    title: str,
    rows: Sequence[Operator],
    times: Sequence[float] | None,
    group: Callable[[Operator], str],
) -> Iterator[Row]:
    sums: defaultdict[str, list[float]] = defaultdict(lambda: [0.0] * 4)
    for index, row in enumerate(rows):
        figures = (row.params, row.macs, row.bytes, times[index] if times else 0.0)
        found = sums[group(row)]
        for place, figure in enumerate(figures):
            found[place] += figure
    totals = [sum(column) or 1.0 for column in zip(*sums.values(), strict=True)]
    for name, figures_of in sums.items():
        cells: dict[str, Cell] = {title: name}
        for column, figure, total in zip(_COLUMNS, figures_of, totals, strict=True):
            known = column.key != "time" or times is not None
            cells[column.key] = 100 * figure / total if known else None
        if any(figures_of):
            yield Row(cells, (result.id,))


def _times(result: Result, rows: Sequence[Operator]) -> list[float] | None:
    """Return the time of each of `rows`, the others' given to the one before; None if unknown."""
    profile = result.profile.rows if result.profile else ()
    products = [index for index, row in enumerate(rows) if row.kind in ("conv", "linear")]
    timed = [each for each in profile if _PRODUCTS.search(each.name)]
    if not timed or len(timed) != len(products):
        return None
    times = [0.0] * len(rows)
    waiting = iter(products)
    place = products[0]
    for each in profile:
        if _PRODUCTS.search(each.name):
            place = next(waiting)
        times[place] += _median(each)
    return times


def _median(row: ProfileRow) -> float:
    return float(statistics.median(row.samples_ns)) if row.samples_ns else 0.0
