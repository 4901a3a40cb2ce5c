"""What a session of `lightmobile roofline` found: whole models beneath the device's ceilings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from lightmobile.device_bench.findings import Cell, Column, Findings, Row, Table
from lightmobile.device_bench.roofline.bounds import bounds_of
from lightmobile.device_bench.roofline.ceilings import ceilings_of
from lightmobile.device_bench.roofline.cells import bound_cells, cost_cells, latency_cells
from lightmobile.device_bench.roofline.charts import bandwidth_chart, roofline_charts
from lightmobile.device_bench.roofline.probes import probe_of
from lightmobile.device_bench.roofline.shares import share_tables

if TYPE_CHECKING:
    from lightmobile.device_bench.results import Result
    from lightmobile.device_bench.roofline.bounds import Bound

__all__ = ["STUDY", "model_findings"]

STUDY = "roofline"
"""What its sessions are called."""

_QUESTION = "What bounds a model here, and what share of that bound does it reach?"

_COLUMNS = (
    Column("model", "model"),
    Column("runtime", "runtime"),
    Column("precision", "precision"),
    Column("threads", "threads"),
    Column("latency_ms", "latency ms", 4, "latency_low_ms", "latency_high_ms"),
    Column("mmacs", "MMACs", 4),
    Column("gflops", "GFLOPS"),
    Column("ideal_mb", "ideal MB"),
    Column("lowered_mb", "lowered MB"),
    Column("intensity", "MACs/byte"),
    Column("binds", "bound by"),
    Column("share", "share of its roof", 3, "share_low", "share_high"),
)
_NOTES = (
    "A FLOP is one multiply-accumulate. The bound takes a whole model's ideal traffic and "
    "arithmetic at the device's best; what its operators lose one by one, it does not see.",
    "Time between products (activations, additions, copies) counts to the product before.",
)


def model_findings(results: Sequence[Result]) -> Findings:
    """Return what the results of one session say of models."""
    session = results[0].session
    emulated = any(result.configuration.emulated for result in results)
    models = [
        result
        for result in results
        if probe_of(result.configuration.model) is None and result.slices
    ]
    ceilings = {} if emulated else ceilings_of(results)
    shares = [table for each in models if each.profile for table in share_tables(each)]
    return Findings(
        study=session.study,
        question=_QUESTION,
        session=session.id,
        device=session.device.label,
        tables=(
            Table("Models", _COLUMNS, tuple(_rows(models, bounds_of(models, ceilings)))),
            *shares,
        ),
        charts=(*roofline_charts(models, ceilings), *bandwidth_chart(ceilings)),
        notes=_NOTES,
        quick=session.quick,
        emulated=emulated,
    )


def _rows(models: Sequence[Result], bounds: Mapping[str, Bound]) -> Iterator[Row]:
    for result in models:
        ran = result.configuration
        cells: dict[str, Cell] = {
            "model": ran.model,
            "runtime": ran.runtime,
            "precision": ran.precision,
            "threads": result.threads,
            **latency_cells(result),
            **cost_cells(result),
        }
        sources = [result.id]
        if bound := bounds.get(result.id):
            cells |= bound_cells(bound)
            sources += bound.results
        yield Row(cells, tuple(sources))
