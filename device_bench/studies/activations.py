"""Which count of a network predicts its latency."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from lightmobile.device_bench.findings import Chart, Column, Row, Series, Table
from lightmobile.device_bench.schema_artifact import Cost
from lightmobile.device_bench.studies.claims import decide
from lightmobile.device_bench.studies.correlation import difference, pearson, spearman
from lightmobile.device_bench.studies.estimate import Estimate
from lightmobile.device_bench.studies.measured import Measured
from lightmobile.device_bench.studies.scaling_strategies import TINY
from lightmobile.device_bench.studies.study import Part, Study
from lightmobile.device_bench.studies.tables import cells, estimated, networks, point

__all__ = ["STUDY"]

_PAPER = "Dollár, Singh, Girshick, CVPR 2021, arXiv:2103.06877, in a digest"
_BASES = ("efficientnet_b0", "regnety_400mf", "regnetz_500mf")
_STRATEGIES = ("d", "w1_g1", "r", "d1_w1_g1_r1", "dWr")
_SCALES = (2, 4, 8)

_PREDICTORS: dict[str, Callable[[Cost], float | None]] = {
    "activations": lambda cost: cost.activations,
    "MACs": lambda cost: cost.macs,
    "parameters": lambda cost: cost.params,
    "traffic, ideal": lambda cost: cost.ideal_bytes,
    "traffic, as lowered": lambda cost: cost.lowered_bytes,
}


def _full() -> dict[str, str]:
    scaled = (
        f"{base}@{strategy}:{scale}"
        for base in _BASES
        for strategy in _STRATEGIES
        for scale in _SCALES
    )
    return {name: name for name in (*_BASES, *scaled)}


def _analyse(measured: Measured) -> Part:
    parts = [part for part in measured.parts(*_BASES) if measured.cost(part)]
    figures = {name: _column(measured, parts, read) for name, read in _PREDICTORS.items()}
    known = {name: column for name, column in figures.items() if column is not None}
    times = [latency.value for part in parts if (latency := measured.latency(part))]
    ids = tuple(measured.found[part].id for part in parts)

    def better(other: str) -> Estimate | None:
        if "activations" not in known or other not in known:
            return None
        found = difference(known["activations"], known[other], times)
        return found and replace(found, results=ids)

    linear = {name: pearson(column, times) for name, column in known.items()}
    ranked = {name: spearman(column, times) for name, column in known.items()}
    return Part(
        tables=(
            Table(
                f"Correlation with latency over {len(parts)} networks",
                (
                    Column("predictor", "predictor"),
                    estimated("pearson", "Pearson"),
                    estimated("spearman", "Spearman"),
                ),
                tuple(
                    Row(
                        {
                            "predictor": name,
                            **cells("pearson", linear[name]),
                            **cells("spearman", ranked[name]),
                        },
                        ids,
                    )
                    for name in known
                ),
            ),
            networks(measured, parts, "The networks"),
        ),
        charts=tuple(_chart(measured, parts, name) for name in ("activations", "MACs")),
        claims=(
            decide(
                "Latency correlates more with activations (Pearson's r is lost in what we could "
                "read) than with MACs and with parameters (0.86 and 0.56; which is which is lost "
                f"too; {_PAPER})",
                "Pearson's r of activations less that of the other",
                [("MACs", better("MACs")), ("parameters", better("parameters"))],
                "above",
                0,
            ),
        ),
        summary=tuple(
            f"Pearson's r of latency with {name} is {found}; the paper's for the two lesser "
            "predictors, MACs and parameters, are 0.86 and 0.56."
            if name in ("MACs", "parameters")
            else f"Pearson's r of latency with {name} is {found}."
            for name, found in linear.items()
            if found is not None
        ),
    )


def _column(
    measured: Measured, parts: list[str], read: Callable[[Cost], float | None]
) -> list[float] | None:
    """Return one figure of every network, or None where one of them has not got it."""
    figures = [read(cost) for part in parts if (cost := measured.cost(part))]
    known = [figure for figure in figures if figure is not None]
    return known if known and len(known) == len(figures) else None


def _chart(measured: Measured, parts: list[str], predictor: str) -> Chart:
    series = []
    for base in _BASES:
        points = []
        for part in parts:
            cost, latency = measured.cost(part), measured.latency(part)
            figure = _PREDICTORS[predictor](cost) if cost else None
            if part.startswith(base) and latency and figure:
                points.append(point(figure / 1e6, latency, measured.names[part]))
        if points:
            series.append(Series(base, "points", tuple(points)))
    return Chart(
        f"Latency by {predictor}",
        f"{predictor}, millions",
        "ms",
        tuple(series),
        x_log=True,
        y_log=True,
    )


STUDY = Study(
    name="activations-predict-latency",
    question="Do activations predict scaled networks' latency better than MACs or parameters?",
    paper=f"Activations predict the runtime strongly, MACs and parameters weakly. {_PAPER}",
    full=_full(),
    small={f"regnety_400mf@{strategy}": name for strategy, name in TINY.items()},
    analyse=_analyse,
    notes=(
        "Intervals are bootstraps over the networks: how the figure would come out for others like "
        "these. Groups are as wide as the paper has them: they grow with the width.",
    ),
)
