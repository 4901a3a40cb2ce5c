"""PConv against DWConv, alone and with the pointwise convolution that each needs."""

from __future__ import annotations

from lightmobile.device_bench.findings import Chart, Column, Row, Series, Table
from lightmobile.device_bench.roofline.operators import paper_figures
from lightmobile.device_bench.studies.claims import decide
from lightmobile.device_bench.studies.estimate import Estimate, written
from lightmobile.device_bench.studies.measured import Measured
from lightmobile.device_bench.studies.study import Part, Study
from lightmobile.device_bench.studies.tables import cells, estimated, networks, point, ratios

__all__ = ["STUDY"]

_PAPER = "Chen et al., Run, Don't Walk, CVPR 2023, arXiv:2303.03667"
_KINDS = {
    "conv": ("Conv 3x3", "op:conv"),
    "dwconv": ("DWConv 3x3", "op:dwconv"),
    "pconv": ("PConv 1/4", "op:pconv"),
    "dwconv_pwconv": ("DWConv + PWConv", "op:dwconv_pwconv"),
    "six_times": ("DWConv 3x3, 6 times as wide", "op:dwconv"),
    "widened": ("PWConv + DWConv + PWConv, twice as wide", "op:dwconv_pwconv,widen=2"),
    "pconv_pwconv": ("PConv + PWConv", "op:pconv_pwconv"),
}
_TIMES = {"six_times": 6}
_NETWORKS = {
    "network@pconv": "fasternet_t0",
    "network@dwconv": "fasternet_t0_dw",
    "network@wide": "fasternet_t0_dw_wide",
}


def _parts(sizes: tuple[tuple[int, int], ...], layers: int) -> dict[str, str]:
    return {
        f"{kind}@{channels}x{size}": f"{model},"
        f"channels={channels * _TIMES.get(kind, 1)},size={size},layers={layers}"
        for channels, size in sizes
        for kind, (_, model) in _KINDS.items()
    }


def _analyse(measured: Measured) -> Part:
    sizes = [part.partition("@")[2] for part in measured.names if part.startswith("conv@")]
    flops = [(at, measured.flops_ratio(f"pconv@{at}", f"dwconv@{at}")) for at in sizes]
    equal = [(at, measured.ratio(f"dwconv@{at}", f"pconv@{at}")) for at in sizes]
    pairs = [(at, measured.ratio(f"dwconv_pwconv@{at}", f"pconv_pwconv@{at}")) for at in sizes]
    wide = [(at, measured.ratio(f"widened@{at}", f"pconv_pwconv@{at}")) for at in sizes]
    six = [(at, measured.ratio(f"six_times@{at}", f"pconv@{at}")) for at in sizes]
    dense = [(at, measured.ratio(f"conv@{at}", f"pconv_pwconv@{at}")) for at in sizes]
    operators = measured.parts(*(f"{kind}@" for kind in _KINDS))
    claims = (
        decide(
            "PConv has higher FLOPS than DWConv (the table's figures for the two are lost in what "
            f"we could read; {_PAPER})",
            "PConv's FLOPS over DWConv's",
            flops,
            "above",
            1,
        ),
        decide(
            "PConv is faster than DWConv as wide as networks need it for their accuracy, such as 6 "
            f"times in MobileNetV2 (the paper's reasoning, no figure; {_PAPER})",
            "time of DWConv of 6 times the channels over PConv's",
            six,
            "above",
            1,
        ),
        decide(
            "PConv + PWConv is faster than Conv 3x3: 4.5, 5.2, 4.6 and 7.5 times on a CPU, 4.7 "
            "times on ARM at 96x56x56 (milliseconds by the authors, issue 1 of their repository)",
            "Conv 3x3's time over PConv + PWConv's",
            dense,
            "above",
            1,
        ),
    )
    return Part(
        tables=(
            networks(
                measured,
                operators,
                "Operators, stacked",
                more={part: cells("gflops", measured.gflops(part)) for part in operators},
                extra=(estimated("gflops", "GFLOPS"),),
            ),
            ratios("FLOPS of PConv over DWConv's", [(at, e, {}) for at, e in flops], what="times"),
            ratios(
                "Time, at equal width and widened",
                [
                    *((f"DWConv / PConv, {at}", e, {}) for at, e in equal),
                    *((f"DWConv + PWConv / PConv + PWConv, {at}", e, {}) for at, e in pairs),
                    *((f"DWConv, 6 times as wide / PConv, {at}", e, {}) for at, e in six),
                    *((f"DWConv, twice as wide / PConv + PWConv, {at}", e, {}) for at, e in wide),
                    *((f"Conv 3x3 / PConv + PWConv, {at}", e, {}) for at, e in dense),
                    *_whole_networks(measured),
                ],
                what="time over time",
            ),
            _beside_published(measured),
        ),
        charts=(_chart(measured, sizes),),
        claims=claims,
        summary=(
            *(_alone(at, measured, flops, equal) for at in sizes),
            *(_together(at, dict(pairs)[at], dict(wide)[at], dict(six)[at]) for at in sizes),
        ),
    )


def _whole_networks(measured: Measured) -> list[tuple[str, Estimate | None, dict[str, float]]]:
    return [
        (f"FasterNet-T0 of {what} / of PConv", measured.ratio(part, "network@pconv"), {})
        for what, part in (
            ("DWConv, equal width", "network@dwconv"),
            ("DWConv, equal MACs", "network@wide"),
        )
    ]


def _alone(
    at: str,
    measured: Measured,
    flops: list[tuple[str, Estimate | None]],
    times: list[tuple[str, Estimate | None]],
) -> str:
    more, time, rate = dict(flops)[at], dict(times)[at], measured.gflops(f"pconv@{at}")
    if more is None or time is None or rate is None:
        return f"At {at}, PConv and DWConv were not both measured."
    quicker = {
        "holds": "PConv is the faster one, ",
        "does not hold": "DWConv, which computes less, is the faster one, ",
        "undecided": "neither is shown to be faster, ",
    }[time.above(1)]
    return (
        f"At {at}, PConv reaches {written(rate.value)} GFLOPS, {more} times DWConv's; at equal "
        f"width {quicker}with DWConv's time {time} times PConv's."
    )


def _together(at: str, pair: Estimate | None, wide: Estimate | None, six: Estimate | None) -> str:
    told = [
        f"{what} takes {each} times the time of {other}"
        for what, each, other in (
            ("DWConv of 6 times the width", six, "PConv"),
            ("DWConv + PWConv", pair, "PConv + PWConv"),
            ("DWConv between PWConvs to twice the width and back", wide, "PConv + PWConv"),
        )
        if each is not None
    ]
    return f"At {at}, {', '.join(told) or 'no pair of operators was measured'}."


def _beside_published(measured: Measured) -> Table:
    rows = []
    for part, model in measured.names.items():
        rate, published = measured.gflops(part), paper_figures(model)
        if rate is None or not published:
            continue
        kind, _, at = part.partition("@")
        mflops = published["mflops"]
        cells_ = {
            "gpu": mflops * published["gpu_kfps"],
            "cpu": mflops / published["cpu_ms"],
            "arm": mflops / published["arm_ms"] if "arm_ms" in published else None,
        }
        row = {"operator": f"{_KINDS[kind][0]}, {at}", **cells("here", rate), **cells_}
        rows.append(Row(row, rate.results))
    return Table(
        "GFLOPS beside the authors' (from their times, issue 1 of their repository)",
        (
            Column("operator", "operator"),
            estimated("here", "here"),
            Column("gpu", "their GPU"),
            Column("cpu", "their CPU"),
            Column("arm", "their ARM"),
        ),
        tuple(rows),
    )


def _chart(measured: Measured, sizes: list[str]) -> Chart:
    series = []
    for kind, (title, _) in _KINDS.items():
        rates = [(at, measured.gflops(f"{kind}@{at}")) for at in sizes]
        points = [point(sizes.index(at), rate, at) for at, rate in rates if rate is not None]
        if points:
            series.append(Series(title, "bars", tuple(points)))
    return Chart("Rate of arithmetic by size", "channels x side", "GFLOPS", tuple(series))


STUDY = Study(
    name="pconv-vs-dwconv",
    question="Does PConv compute at a higher rate than DWConv, and which takes less time?",
    paper=f"PConv trades some more FLOPs than DWConv's for far higher FLOPS. {_PAPER}",
    full=_parts(((96, 56), (192, 28), (384, 14), (768, 7)), 10) | _NETWORKS,
    small=_parts(((16, 14),), 2),
    analyse=_analyse,
    notes=(
        "FLOPS is MACs over time, as in the paper: one multiply-accumulate counts as one.",
        "No accuracy is measured. Which width of DWConv matches PConv in accuracy is the paper's "
        "argument: 6 times is MobileNetV2's, twice is that of FasterNet's own block.",
    ),
)
