"""HetConv by its part P, against the convolution it replaces and against its rivals."""

from __future__ import annotations

from lightmobile.device_bench.findings import Cell, Chart, Claim, Column, Series
from lightmobile.device_bench.studies.claims import decide
from lightmobile.device_bench.studies.estimate import Estimate, written
from lightmobile.device_bench.studies.measured import Measured
from lightmobile.device_bench.studies.study import Part, Study
from lightmobile.device_bench.studies.tables import networks, point, ratios

__all__ = ["STUDY"]

_PAPER = "Singh et al., HetConv, CVPR 2019, arXiv:1903.04120, in a digest"
_ONE_FOR_ONE = (
    "HetConv replaces a standard convolution one for one and adds no latency, where group-wise or "
    f"depthwise and pointwise convolutions are two layers in sequence ({_PAPER})"
)
_NO_MORE = 1.02


def _parts(sizes: tuple[tuple[int, int], ...], p: tuple[int, ...], layers: int) -> dict[str, str]:
    parts = {}
    for channels, size in sizes:
        at = f"channels={channels},size={size},layers={layers}"
        parts[f"conv@{channels}x{size}"] = f"op:conv,{at}"
        for each in p:
            parts[f"grouped{each}@{channels}x{size}"] = f"op:hetconv,{at},p={each},form=grouped"
            parts[f"dense{each}@{channels}x{size}"] = f"op:hetconv,{at},p={each},form=dense"
            parts[f"gwc{each}@{channels}x{size}"] = f"op:gconv_pwconv,{at},groups={each}"
        parts[f"dwc@{channels}x{size}"] = f"op:dwconv_pwconv,{at}"
    return parts


def _analyse(measured: Measured) -> Part:
    sizes = [part.partition("@")[2] for part in measured.names if part.startswith("conv@")]
    values = _values(measured)
    tables = []
    for at in sizes:
        parts = [part for part in measured.parts("") if part.endswith(f"@{at}")]
        tables.append(
            networks(
                measured,
                parts,
                f"Stacks of operators at {at}",
                more={part: {"kernels": kernels(measured, part)} for part in parts},
                extra=(Column("kernels", "kernels a layer"),),
            )
        )
        tables.append(
            ratios(f"HetConv's time over others' at {at}", _rows(measured, at, values), what="time")
        )

    def over(form: str, other: str) -> list[tuple[str, Estimate | None]]:
        """Return HetConv's time over that of another at each P; ``gwc`` stands at the same P."""
        return [
            (
                f"P = {p}, {at}",
                measured.ratio(
                    f"{form}{p}@{at}", f"{other}{p}@{at}" if other == "gwc" else f"{other}@{at}"
                ),
            )
            for at in sizes
            for p in values
        ]

    return Part(
        tables=tuple(tables),
        charts=tuple(_chart(measured, at, values) for at in sizes),
        claims=(
            _counted(measured, sizes, values),
            decide(
                f"{_ONE_FOR_ONE}: as one dense convolution",
                "time of HetConv, lowered to a dense convolution, over Conv 3x3's; no latency "
                "added meaning at most 2 %",
                over("dense", "conv"),
                "below",
                _NO_MORE,
            ),
            decide(
                f"{_ONE_FOR_ONE}: as a grouped and a pointwise convolution, which saves the FLOPs",
                "time of HetConv, lowered to the two and their sum, over Conv 3x3's; no latency "
                "added meaning at most 2 %",
                over("grouped", "conv"),
                "below",
                _NO_MORE,
            ),
            decide(
                "HetConv is faster than group-wise and pointwise convolutions of as many FLOPs "
                f"({_PAPER}; here at the same P)",
                "HetConv's time, grouped, over group-wise and pointwise convolutions'",
                over("grouped", "gwc"),
                "below",
                1,
            ),
            decide(
                f"The larger P, the faster ({_PAPER})",
                "HetConv's time, grouped, at the largest P over that at the smallest",
                [
                    (at, measured.ratio(f"grouped{values[-1]}@{at}", f"grouped{values[0]}@{at}"))
                    for at in sizes
                ],
                "below",
                1,
            ),
        ),
        summary=tuple(_best(measured, at, p) for at in sizes for p in values),
    )


def _values(measured: Measured) -> list[int]:
    parts = (part.partition("@")[0] for part in measured.names)
    return sorted({int(part[len("grouped") :]) for part in parts if part.startswith("grouped")})


def _rows(
    measured: Measured, at: str, values: list[int]
) -> list[tuple[str, Estimate | None, dict[str, Cell]]]:
    rows: list[tuple[str, Estimate | None, dict[str, Cell]]] = []
    for p in values:
        for form in ("grouped", "dense"):
            ours = f"{form}{p}@{at}"
            for title, theirs in (
                ("Conv 3x3", f"conv@{at}"),
                (f"group-wise ({p}) and pointwise", f"gwc{p}@{at}"),
                ("depthwise and pointwise", f"dwc@{at}"),
            ):
                a, b = measured.cost(ours), measured.cost(theirs)
                macs = a.macs / b.macs if a and b and b.macs else None
                label = f"P = {p}, {form} / {title}"
                rows.append((label, measured.ratio(ours, theirs), {"MACs, times": macs}))
    return rows


def kernels(measured: Measured, part: str) -> float | None:
    """Return how many operators one layer of a stack became in the file; None where unknown.

    They run one after another: each reads what the one before it wrote.
    """
    if (result := measured.found.get(part)) is None or result.configuration.facts is None:
        return None
    placement = result.configuration.facts.placement
    if placement is None:
        return None
    layers = measured.names[part].partition("layers=")[2].partition(",")[0]
    count = placement.delegated + sum(placement.undelegated.values())
    return count / int(layers) if count else None


def _counted(measured: Measured, sizes: list[str], values: list[int]) -> Claim:
    """Decide by counting the operators in the files, which no interval can change."""
    told, ids, more = [], [], []
    for at in sizes:
        standard = kernels(measured, f"conv@{at}")
        for form in ("grouped", "dense"):
            part = next(
                (f"{form}{p}@{at}" for p in values if f"{form}{p}@{at}" in measured.found), ""
            )
            count = kernels(measured, part) if part else None
            if standard and count:
                told.append(f"{form} at {at}: {written(count)}, Conv 3x3: {written(standard)}")
                ids += [measured.found[part].id, measured.found[f"conv@{at}"].id]
                more.append(count > standard and form == "grouped")
    if not told:
        return Claim(f"{_ONE_FOR_ONE}: counted", "undecided", "The files tell no operators")
    return Claim(
        f"{_ONE_FOR_ONE}: counted, in the form that saves the FLOPs",
        "does not hold" if any(more) else "holds",
        f"Operators a layer in the files, one after another: {'; '.join(told)}",
        tuple(dict.fromkeys(ids)),
    )


def _best(measured: Measured, at: str, p: int) -> str:
    forms = {
        form: ratio
        for form in ("grouped", "dense")
        if (ratio := measured.ratio(f"{form}{p}@{at}", f"conv@{at}")) is not None
    }
    if not forms:
        return f"At {at}, HetConv of P = {p} was not measured."
    form = min(forms, key=lambda each: forms[each].value)
    return f"At {at}, HetConv of P = {p} takes {forms[form]} times Conv 3x3's time, as {form}."


def _chart(measured: Measured, at: str, values: list[int]) -> Chart:
    series = []
    for name, title in (
        ("grouped", "HetConv, grouped"),
        ("dense", "HetConv, dense"),
        ("gwc", "group-wise and pointwise"),
    ):
        points = [
            point(p, latency, f"P = {p}")
            for p in values
            if (latency := measured.latency(f"{name}{p}@{at}")) is not None
        ]
        if points:
            series.append(Series(title, "line", tuple(points)))
    return Chart(f"Latency by P at {at}", "P", "ms", tuple(series), x_log=True)


STUDY = Study(
    name="hetconv-p",
    question="What does HetConv save at each P, and does it add no latency of its own?",
    paper=_ONE_FOR_ONE,
    full=_parts(((64, 56), (256, 14)), (2, 4, 8, 16, 32, 64), 10),
    small=_parts(((16, 14),), (2, 4), 2),
    analyse=_analyse,
    notes=(
        "At the same P, HetConv and group-wise with pointwise convolutions compute as many MACs: "
        "the zeros in HetConv's pointwise kernel are multiplied like any weight. By the paper's "
        "count, which leaves them out, HetConv has 8/P + 1 to their 9/P + 1.",
    ),
)
