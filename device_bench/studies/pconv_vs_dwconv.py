"""PConv against DWConv, alone and with the pointwise convolution that each needs."""

from __future__ import annotations

from lightmobile.device_bench.findings import Chart, Column, Row, Series, Table
from lightmobile.device_bench.studies.claims import decide
from lightmobile.device_bench.studies.estimate import Estimate, written
from lightmobile.device_bench.studies.measured import Measured
from lightmobile.device_bench.studies.study import Part, Study
from lightmobile.device_bench.studies.tables import cells, columns, networks, point, ratios

__all__ = ["STUDY"]

_PAPER = "Chen et al., Run, Don't Walk, CVPR 2023, arXiv:2303.03667"
_KINDS = {
    "conv": ("Conv 3x3", "op:conv"),
    "dwconv": ("DWConv 3x3", "op:dwconv"),
    "pconv": ("PConv 1/4", "op:pconv"),
    "dwconv_pwconv": ("DWConv + PWConv", "op:dwconv_pwconv"),
    "widened": ("DWConv widened by 2", "op:dwconv_pwconv,widen=2"),
    "pconv_pwconv": ("PConv + PWConv", "op:pconv_pwconv"),
}
_NETWORKS = {
    "network@pconv": "fasternet_t0",
    "network@dwconv": "fasternet_t0_dw",
    "network@wide": "fasternet_t0_dw_wide",
}

# Ten layers: the authors' CPU and ARM milliseconds, and thousands of images a second on their GPU
# (issue 1 of their repository; two figures of ARM are cut off there). 1 MAC = 1 FLOP.
_PUBLISHED = {
    "conv@96x56": (2601e6, 3.01, 35.67, 780.0),
    "conv@192x28": (2601e6, 4.89, 28.41, 620.0),
    "conv@384x14": (2601e6, 4.56, 31.85, 595.0),
    "conv@768x7": (2601e6, 3.16, 62.71, 662.0),
    "pconv_pwconv@96x56": (451e6, 6.97, 7.88, 167.0),
    "pconv_pwconv@192x28": (451e6, 9.58, 5.42, None),
    "pconv_pwconv@384x14": (451e6, 11.43, 6.86, None),
    "pconv_pwconv@768x7": (451e6, 10.46, 8.34, None),
}


def _parts(sizes: tuple[tuple[int, int], ...], layers: int) -> dict[str, str]:
    return {
        f"{kind}@{channels}x{size}": f"{model},channels={channels},size={size},layers={layers}"
        for channels, size in sizes
        for kind, (_, model) in _KINDS.items()
    }


def _analyse(measured: Measured) -> Part:
    sizes = [part.partition("@")[2] for part in measured.names if part.startswith("conv@")]
    flops = [(at, measured.flops_ratio(f"pconv@{at}", f"dwconv@{at}")) for at in sizes]
    equal = [(at, measured.ratio(f"dwconv@{at}", f"pconv@{at}")) for at in sizes]
    pairs = [(at, measured.ratio(f"dwconv_pwconv@{at}", f"pconv_pwconv@{at}")) for at in sizes]
    wide = [(at, measured.ratio(f"widened@{at}", f"pconv_pwconv@{at}")) for at in sizes]
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
            "PConv + PWConv is faster than the widened DWConv that networks need for their "
            f"accuracy (the paper's reasoning, no figure; {_PAPER})",
            "time of DWConv between PWConvs, twice as wide, over PConv + PWConv's",
            wide,
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
                extra=columns("gflops", "GFLOPS"),
            ),
            ratios("FLOPS of PConv over DWConv's", [(at, e, {}) for at, e in flops], what="times"),
            ratios(
                "Time, at equal width and widened",
                [
                    *((f"DWConv / PConv, {at}", e, {}) for at, e in equal),
                    *((f"DWConv + PWConv / PConv + PWConv, {at}", e, {}) for at, e in pairs),
                    *((f"widened DWConv / PConv + PWConv, {at}", e, {}) for at, e in wide),
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
            *(_together(at, dict(pairs).get(at), dict(wide).get(at)) for at in sizes),
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


def _together(at: str, pair: Estimate | None, wide: Estimate | None) -> str:
    told = [
        f"{what} takes {each} times the time of PConv + PWConv"
        for what, each in (("DWConv + PWConv", pair), ("DWConv widened by 2", wide))
        if each is not None
    ]
    return f"At {at}, {' and '.join(told) or 'no pair of operators was measured'}."


def _beside_published(measured: Measured) -> Table:
    rows = []
    for part, (macs, thousands, cpu_ms, arm_ms) in _PUBLISHED.items():
        if (rate := measured.gflops(part)) is not None:
            kind, _, at = part.partition("@")
            published = {
                "gpu": macs * thousands / 1e6,
                "cpu": macs / cpu_ms / 1e6,
                "arm": None if arm_ms is None else macs / arm_ms / 1e6,
            }
            row = {"operator": f"{_KINDS[kind][0]}, {at}", **cells("here", rate), **published}
            rows.append(Row(row, rate.results))
    return Table(
        "GFLOPS beside the authors' (from their times, issue 1 of their repository)",
        (
            Column("operator", "operator"),
            *columns("here", "here"),
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
        "argument; here it is widened by 2, where MobileNetV2 widens by 6.",
    ),
)
