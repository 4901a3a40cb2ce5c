"""What a session of `lightmobile bench-ops` found: operators, their roofs, PConv against DWConv."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lightmobile.device_bench.findings import Cell, Column, Findings, Row, Table
from lightmobile.device_bench.roofline.bounds import Bound, bounds_of
from lightmobile.device_bench.roofline.ceilings import (
    Ceilings,
    Conditions,
    ceilings_of,
    conditions_of,
    cost_of,
)
from lightmobile.device_bench.roofline.cells import bound_cells, cost_cells, latency_cells
from lightmobile.device_bench.roofline.charts import bandwidth_chart, roofline_charts
from lightmobile.device_bench.roofline.operators import (
    OPERATORS,
    operator_name,
    paper_figures,
    size_of,
    title_of,
)
from lightmobile.device_bench.roofline.probes import probe_of
from lightmobile.device_bench.statistics import Ratio, paired_figure
from lightmobile.models.names import ModelName

if TYPE_CHECKING:
    from lightmobile.device_bench.results import Result

__all__ = ["STUDY", "above_the_roof", "operator_findings"]

STUDY = "bench-ops"
"""What its sessions are called."""

_QUESTION = "What do operators cost here, and how near do they come to what the device can do?"

_LATENCY = Column("latency_ms", "latency ms", 4, "latency_low_ms", "latency_high_ms")
_SHARE = Column("share", "share of its roof", 3, "share_low", "share_high")
_RUN = (
    Column("runtime", "runtime"),
    Column("precision", "precision"),
    Column("threads", "threads"),
    Column("batch", "batch"),
)
_COLUMNS = (
    Column("size", "size"),
    Column("operator", "operator"),
    *_RUN,
    _LATENCY,
    Column("mmacs", "MMACs", 4),
    Column("gflops", "GFLOPS"),
    Column("ideal_mb", "ideal MB"),
    Column("lowered_mb", "lowered MB"),
    Column("intensity", "MACs/byte"),
    Column("lowered_intensity", "MACs/byte, lowered"),
    Column("binds", "bound by"),
    _SHARE,
)
_PAPER = (
    Column("size", "size"),
    Column("operator", "operator"),
    *_RUN,
    Column("gflops", "GFLOPS here"),
    Column("paper_cpu", "paper, CPU"),
    Column("paper_arm", "paper, ARM"),
    Column("paper_gpu", "paper, GPU"),
)
_VERSUS = (
    Column("size", "size"),
    *_RUN,
    Column("against", "PConv against"),
    Column("flops_ratio", "FLOPS ratio", 3, "flops_low", "flops_high"),
    Column("time_ratio", "time ratio", 3, "time_low", "time_high"),
)
_PAIRS = (
    ("pconv", "dwconv"),
    ("pconv", "dwconv_wide"),
    ("pconv_pwconv", "dwconv_pwconv"),
    ("pconv_pwconv", "conv"),
)


def operator_findings(results: Sequence[Result]) -> Findings:
    """Return what the results of one session say of operators."""
    session = results[0].session
    ceilings = ceilings_of(results)
    operators = [result for result in results if _is_operator(result)]
    bounds = bounds_of(operators, ceilings)
    emulated = any(result.configuration.emulated for result in results)
    compared = [] if emulated else list(_comparisons(operators))
    tables = [Table("Operators", _COLUMNS, tuple(_rows(operators, bounds)))]
    if not emulated:
        tables += [
            Table("PConv against its rivals", _VERSUS, tuple(_versus_rows(compared))),
            Table("Beside the paper's own", _PAPER, tuple(_paper_rows(operators))),
        ]
    return Findings(
        study=session.study,
        question=_QUESTION,
        session=session.id,
        device=session.device.label,
        tables=tuple(table for table in tables if table.rows),
        charts=()
        if emulated
        else (*roofline_charts(operators, ceilings), *bandwidth_chart(ceilings)),
        summary=()
        if emulated
        else (*_versus_sentences(compared), *_bound_sentences(operators, ceilings, bounds)),
        notes=_NOTES,
        quick=session.quick,
        emulated=emulated,
    )


_NOTES = (
    "A FLOP is one multiply-accumulate, as the papers count.",
    "Ideal bytes: inputs and weights read once, outputs written once, only the channels that are "
    "touched. Lowered: what the operators in the file read and write, slices and concatenations "
    "that copy among it.",
    "A roof is the best that any runtime reached here, in the same rounds, with the same precision "
    "and threads: large products and convolutions for arithmetic; for bandwidth, streams whose "
    "working set is as large as the operator's.",
    "The paper: FasterNet's author in issue 1 of its repository, other devices (his CPU and ARM).",
)


def above_the_roof(results: Iterable[Result]) -> list[str]:
    """Return the operators that were faster than their roof by more than the interval, in words.

    There should be none: a ceiling or a count would be wrong.
    """
    measured = {result.id: result for result in results}
    bounds = bounds_of(filter(_is_operator, measured.values()), ceilings_of(measured.values()))
    return [
        f"{(ran := measured[number].configuration).model} on {ran.runtime}: "
        f"{bound.share:.2f} of its roof"
        for number, bound in bounds.items()
        if bound.is_exceeded
    ]


def _is_operator(result: Result) -> bool:
    return probe_of(result.configuration.model) is None and bool(result.slices)


def _run(result: Result) -> dict[str, Cell]:
    ran = result.configuration
    return {
        "runtime": ran.runtime,
        "precision": ran.precision,
        "threads": result.threads,
        "batch": ran.batch,
    }


def _rows(operators: Iterable[Result], bounds: Mapping[str, Bound]) -> Iterator[Row]:
    for result in operators:
        model = result.configuration.model
        cells: dict[str, Cell] = {
            "size": size_of(model),
            "operator": title_of(model),
            **_run(result),
            **latency_cells(result),
            **cost_cells(result),
        }
        sources = [result.id]
        if bound := bounds.get(result.id):
            cells |= bound_cells(bound)
            sources += bound.results
        yield Row(cells, tuple(sources))


def _paper_rows(operators: Iterable[Result]) -> Iterator[Row]:
    for result in operators:
        known = paper_figures(result.configuration.model)
        facts = result.configuration.facts
        if not known or facts is None or facts.cost is None:
            continue
        mflops = known["mflops"]
        cells: dict[str, Cell] = {
            "size": size_of(result.configuration.model),
            "operator": title_of(result.configuration.model),
            **_run(result),
            "gflops": facts.cost.macs / result.latency.median,
            "paper_cpu": mflops / known["cpu_ms"],
            "paper_arm": mflops / known["arm_ms"] if "arm_ms" in known else None,
            "paper_gpu": mflops * known["gpu_kfps"],
        }
        yield Row(cells, (result.id,))


@dataclass(frozen=True)
class _Comparison:
    """Two operators of `_PAIRS` that were measured alike: the first over the second."""

    first: str
    second: str
    ours: Result
    theirs: Result
    flops: Ratio
    time: Ratio


def _comparisons(operators: Iterable[Result]) -> Iterator[_Comparison]:
    known: dict[tuple[object, ...], Result] = {}
    for result in operators:
        facts = result.configuration.facts
        if facts and facts.cost:
            known[_alike(result, result.configuration.model)] = result
    for result in known.values():
        options = ModelName.parse(result.configuration.model).options
        if not {"channels", "size", "layers"} <= options.keys():
            continue
        size, layers = (options["channels"], options["size"]), options["layers"]
        for first, second in _PAIRS:
            if operator_name(first, size, layers) == result.configuration.model:
                other = known.get(_alike(result, operator_name(second, size, layers)))
                if other is not None:
                    yield _compared(first, second, result, other)


def _compared(first: str, second: str, ours: Result, theirs: Result) -> _Comparison:
    work = cost_of(ours).macs / max(1, cost_of(theirs).macs)
    return _Comparison(
        first,
        second,
        ours,
        theirs,
        flops=paired_figure((ours, theirs), lambda a, b: work * b / a),
        time=paired_figure((ours, theirs), lambda a, b: a / b),
    )


def _alike(result: Result, model: str) -> tuple[object, ...]:
    ran = result.configuration
    return (model, ran.runtime, ran.backend, ran.batch, *conditions_of(result))


def _versus_rows(compared: Iterable[_Comparison]) -> Iterator[Row]:
    for each in compared:
        flops, time = each.flops, each.time
        cells: dict[str, Cell] = {
            "size": size_of(each.ours.configuration.model),
            **_run(each.ours),
            "against": _versus(each.first, each.second),
            "flops_ratio": flops.median,
            "flops_low": flops.ci95.low,
            "flops_high": flops.ci95.high,
            "time_ratio": time.median,
            "time_low": time.ci95.low,
            "time_high": time.ci95.high,
        }
        yield Row(cells, (each.ours.id, each.theirs.id))


def _versus(first: str, second: str) -> str:
    wide = ", 6 times as wide" if OPERATORS[second][2] != 1 else ""
    titles = [title_of(operator_name(each, (96, 56), 10)) for each in (first, second)]
    return f"{titles[0]} / {titles[1]}{wide}"


def _versus_sentences(compared: Iterable[_Comparison]) -> Iterator[str]:
    for each in compared:
        if each.first != "pconv":
            continue
        wide = ", at six times the width" if each.second == "dwconv_wide" else " at equal width"
        yield (
            f"{size_of(each.ours.configuration.model)}, {_where(each.ours)}: PConv does "
            f"{_times(each.flops)} the FLOPS of DWConv{wide}, and takes {_times(each.time)} its "
            f"time{_decided(each.time)}."
        )


def _bound_sentences(
    operators: Sequence[Result],
    ceilings: Mapping[Conditions, Ceilings],
    bounds: Mapping[str, Bound],
) -> Iterator[str]:
    for conditions, above in ceilings.items():
        alike = [
            bounds[result.id]
            for result in operators
            if conditions_of(result) == conditions and result.id in bounds
        ]
        if alike:
            memory = sum(bound.binds == "memory" for bound in alike)
            yield (
                f"{conditions[0]}, {conditions[1] or 'all'} thread(s): arithmetic peaks at "
                f"{above.macs_per_second / 1e9:.3g} GFLOPS; memory bounds {memory} of "
                f"{len(alike)} operators, arithmetic the others."
            )


def _where(result: Result) -> str:
    ran = result.configuration
    return f"{ran.runtime} {ran.precision}, {result.threads or 'any number of'} thread(s)"


def _times(ratio: Ratio) -> str:
    low, high = ratio.ci95.low, ratio.ci95.high
    interval = "" if low is None or high is None else f" [{low:.3g}, {high:.3g}]"
    return f"{ratio.median:.3g}{interval} times"


def _decided(time: Ratio) -> str:
    low, high = time.ci95.low, time.ci95.high
    if low is None or high is None or low <= 1 <= high:
        return ": which of them is faster is undecided"
    return ": DWConv is faster" if low > 1 else ": PConv is faster"
