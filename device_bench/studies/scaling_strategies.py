"""One base network, scaled to the same MACs in different ways."""

from __future__ import annotations

from lightmobile.device_bench.findings import Chart, Column, Series
from lightmobile.device_bench.studies.claims import decide
from lightmobile.device_bench.studies.estimate import Estimate
from lightmobile.device_bench.studies.measured import Measured
from lightmobile.device_bench.studies.study import Part, Study
from lightmobile.device_bench.studies.tables import cells, estimated, networks, point

__all__ = ["STUDY", "TINY"]

_PAPER = "Dollár, Singh, Girshick, CVPR 2021, arXiv:2103.06877, in a digest"
_NEAR = 1.1

# In the paper's sense: groups grow with the width. d and r are no alpha's.
_ALPHAS = {
    "a0": 0.0,
    "a0.2": 0.2,
    "d1_w1_g1_r1": 1 / 3,
    "a0.6": 0.6,
    "dWr": 0.8,
    "w1_g1": 1.0,
}
_TITLES = {"d1_w1_g1_r1": "dwr", "w1_g1": "w"}

# How far each strategy goes to 4 GMACs, by `lightmobile scale`: within 2 % where whole widths and
# depths allow it.
_SCALES = {
    "efficientnet_b0": {
        "d": "10.2",
        "r": "10.1",
        "a0": "9.9",
        "a0.2": "9.33",
        "d1_w1_g1_r1": "10.2",
        "a0.6": "10.4",
        "dWr": "10.4",
        "w1_g1": "11.4",
    },
    "regnety_400mf": {
        "d": "11.6",
        "r": "9.9",
        "a0": "10.9",
        "a0.2": "10.6",
        "d1_w1_g1_r1": "9.95",
        "a0.6": "9.98",
        "dWr": "10.5",
        "w1_g1": "10.8",
    },
    "regnetz_500mf": {
        "d": "8.87",
        "r": "8.1",
        "a0": "8.62",
        "a0.2": "8.74",
        "d1_w1_g1_r1": "8.29",
        "a0.6": "7.83",
        "dWr": "8.1",
        "w1_g1": "8.94",
    },
}


# For the small size of this study and its neighbours: depth is not scaled, nor are there MACs that
# all of them have.
TINY = {
    strategy: f"regnety_400mf@{strategy}:0.1,depths=1x1x1x1,num_classes=10"
    for strategy in ("d", "w1_g1", "r", "d1_w1_g1_r1", "dWr")
}


def _parts(scales: dict[str, dict[str, str]]) -> dict[str, str]:
    return {
        f"{base}@{strategy}": f"{base}@{strategy}:{scale}"
        for base, by in scales.items()
        for strategy, scale in by.items()
    }


def _analyse(measured: Measured) -> Part:
    bases = list(dict.fromkeys(part.partition("@")[0] for part in measured.names))
    against = {
        part: _per_mac(measured, part, f"{part.partition('@')[0]}@dWr") for part in measured.names
    }
    others = {part: ratio for part, ratio in against.items() if not part.endswith("@dWr")}
    extra = (
        Column("alpha", "alpha"),
        estimated("over", "time a MAC over dWr's"),
        Column("memory", "memory over dWr's"),
    )
    tables = [
        networks(
            measured,
            parts,
            f"{base}, scaled to about the same MACs",
            more={
                part: {
                    "alpha": _ALPHAS.get(part.partition("@")[2]),
                    **cells("over", others.get(part)),
                    "memory": measured.memory_ratio(part, f"{base}@dWr"),
                }
                for part in parts
            },
            extra=extra,
        )
        for base in bases
        if (parts := measured.parts(f"{base}@"))
    ]

    def over(strategy: str, other: str) -> list[tuple[str, Estimate | None]]:
        return [
            (base, _per_mac(measured, f"{base}@{strategy}", f"{base}@{other}")) for base in bases
        ]

    return Part(
        tables=tuple(tables),
        charts=(_chart(measured, bases),),
        claims=(
            decide(
                f"dWr is faster than dwr ({_PAPER})",
                "dwr's time over dWr's, for each MAC",
                over("d1_w1_g1_r1", "dWr"),
                "above",
                1,
            ),
            decide(
                f"dWr is nearly as fast as w ({_PAPER}; nearly is taken to mean within 10 %)",
                "dWr's time over w's, for each MAC",
                over("dWr", "w1_g1"),
                "below",
                _NEAR,
            ),
            decide(
                "With alpha = 1, which scales the width alone, activations grow least and the "
                f"network is the fastest; with alpha = 0 they grow most ({_PAPER})",
                "time at alpha = 0 over that at alpha = 1, for each MAC",
                over("a0", "w1_g1"),
                "above",
                1,
            ),
        ),
        summary=tuple(
            f"{base}: {_title(part)} takes {ratio} times dWr's time for each MAC."
            for base in bases
            for part, ratio in others.items()
            if part.startswith(f"{base}@") and ratio is not None
        ),
    )


def _title(part: str) -> str:
    strategy = part.partition("@")[2]
    return _TITLES.get(strategy, strategy)


def _per_mac(measured: Measured, first: str, second: str) -> Estimate | None:
    """Return the ratio of two networks' times for each MAC: theirs are not quite equal."""
    return measured.flops_ratio(second, first)


def _chart(measured: Measured, bases: list[str]) -> Chart:
    series = []
    for base in bases:
        points = [
            point(alpha, latency, f"{base}, {_TITLES.get(strategy, strategy)}")
            for strategy, alpha in _ALPHAS.items()
            if (latency := measured.latency(f"{base}@{strategy}")) is not None
        ]
        if points:
            series.append(Series(base, "line", tuple(points)))
    return Chart("Latency at the same MACs by alpha", "alpha", "ms", tuple(series))


STUDY = Study(
    name="scaling-strategies",
    question="Which way to scale a network to the same MACs gives the fastest one?",
    paper=f"Scale mostly the width (dWr): as accurate as uniform scaling and faster. {_PAPER}",
    full=_parts(_SCALES),
    small={f"regnety_400mf@{strategy}": name for strategy, name in TINY.items()},
    analyse=_analyse,
    memory=True,
    notes=(
        "d, w, dwr and dWr are the paper's: the width of groups grows with the width. Widths and "
        "depths are whole, so MACs are not exactly equal, and times are compared for each MAC.",
    ),
)
