"""Networks that were searched for at a size, against smaller ones scaled to it."""

from __future__ import annotations

from lightmobile.device_bench.findings import Cell, Claim
from lightmobile.device_bench.studies.claims import decide
from lightmobile.device_bench.studies.measured import Measured
from lightmobile.device_bench.studies.scaling_strategies import TINY
from lightmobile.device_bench.studies.study import Part, Study
from lightmobile.device_bench.studies.tables import bars, networks, ratios

__all__ = ["STUDY"]

_PAPER = "Dollár, Singh, Girshick, CVPR 2021, arXiv:2103.06877, in a digest"
# Searched and scaled, at equal MACs.
_PAIRS = {
    "RegNetY at 4 GF": ("y_searched", "y_scaled"),
    "RegNetY at 4 GF, from 600 MF": ("y_searched", "y_scaled_600"),
    "RegNetZ at 4 GF": ("z_searched", "z_scaled"),
}
_SIDE_BY_SIDE = {
    **_PAIRS,
    "EfficientNet-B4 / RegNetY-4GF scaled to 16 GF": ("b4", "y_16gf"),
    "EfficientNet-B4 / B0 scaled by dWr": ("b4", "b0_scaled"),
}


def _analyse(measured: Measured) -> Part:
    found = {
        label: (first, second, measured.ratio(first, second))
        for label, (first, second) in _SIDE_BY_SIDE.items()
        if first in measured.names and second in measured.names
    }
    rows = [
        (label, ratio, _relative(measured, first, second))
        for label, (first, second, ratio) in found.items()
    ]
    return Part(
        tables=(
            networks(measured, measured.parts(*measured.names), "The networks"),
            ratios("The first over the second; searched over scaled", rows, what="time over time"),
        ),
        charts=(bars("Time of one over the other", "times", [(r[0], r[1]) for r in rows]),),
        claims=(
            decide(
                "Scaled from RegNetY-4GF to 16 GF, a network is faster than EfficientNet-B4, "
                f"though it has more FLOPs ({_PAPER})",
                "EfficientNet-B4's time over its",
                [("here", measured.ratio("b4", "y_16gf"))],
                "above",
                1,
            ),
            decide(
                f"Networks scaled by dWr are faster than the original EfficientNet ({_PAPER}, of "
                "16 GF; here B0 is scaled to B4's MACs)",
                "EfficientNet-B4's time over that of B0 scaled by dWr",
                [("here", measured.ratio("b4", "b0_scaled"))],
                "above",
                1,
            ),
            _fewer_parameters(measured),
        ),
        summary=tuple(
            f"{label}: the first takes {ratio} times the second's time."
            for label, ratio, _ in rows
            if ratio is not None
        ),
    )


def _relative(measured: Measured, first: str, second: str) -> dict[str, Cell]:
    ours, theirs = measured.cost(first), measured.cost(second)
    if ours is None or theirs is None:
        return {}
    return {
        "MACs, times": ours.macs / theirs.macs if theirs.macs else None,
        "parameters, times": ours.params / theirs.params if theirs.params else None,
        "activations, times": ours.activations / theirs.activations if theirs.activations else None,
    }


def _fewer_parameters(measured: Measured) -> Claim:
    """Decide by counting: no interval, and the same on every device."""
    paper = f"Searched networks have fewer parameters than scaled ones ({_PAPER})"
    counted = [
        (label, ours.params, theirs.params)
        for label, (first, second) in _PAIRS.items()
        if (ours := measured.cost(first)) and (theirs := measured.cost(second))
    ]
    if not counted:
        return Claim(paper, "undecided", "Nothing was counted")
    told = "; ".join(f"{label}: {a / 1e6:.3g} M and {b / 1e6:.3g} M" for label, a, b in counted)
    holds = all(a < b for _, a, b in counted)
    return Claim(
        paper, "holds" if holds else "does not hold", f"Counted, searched and scaled: {told}"
    )


STUDY = Study(
    name="scaled-vs-searched",
    question="Is a network that was searched for at a size faster than a small one scaled to it?",
    paper="A scaled network comes near the searched one in accuracy, with more parameters, and one "
    f"scaled to 16 GF is faster than EfficientNet-B4. {_PAPER}",
    full={
        "y_searched": "regnety_4gf",
        "y_scaled": "regnety_400mf@dWr:10.5",
        "y_scaled_600": "regnety_600mf@dWr:6.61",
        "z_searched": "regnetz_4gf",
        "z_scaled": "regnetz_500mf@dWr:6.23",
        "b4": "efficientnet_b4",
        "b0_scaled": "efficientnet_b0@dWr:12.1",
        "y_16gf": "regnety_4gf@dWr:4",
    },
    small={
        "y_searched": TINY["d"],
        "y_scaled": TINY["dWr"],
        "b4": TINY["r"],
        "b0_scaled": TINY["d1_w1_g1_r1"],
        "y_16gf": TINY["w1_g1"],
    },
    analyse=_analyse,
    notes=(
        "Each scaled network has its rival's MACs to 1 %, but the one of 16 GF, which has more. "
        "The paper scales 500 MF networks, of which RegNetY's was never published: 400 and 600 MF "
        "stand for it. No accuracy is measured.",
    ),
)
