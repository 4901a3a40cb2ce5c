"""One spatial operator swapped in an otherwise fixed network."""

from __future__ import annotations

from lightmobile.device_bench.studies.claims import decide
from lightmobile.device_bench.studies.measured import Measured
from lightmobile.device_bench.studies.study import Part, Study
from lightmobile.device_bench.studies.tables import bars, cells, estimated, networks, ratios

__all__ = ["STUDY"]

_OPERATORS = {
    "identity": "nothing",
    "dwconv": "DWConv",
    "pconv": "PConv",
    "rep_so": "RepSO",
}
_NO_COST = 1.02


def _parts(options: str = "") -> dict[str, str]:
    return {each: f"lightnet_meta_light,s2={each}{options}" for each in _OPERATORS}


def _analyse(measured: Measured) -> Part:
    floor = {each: measured.ratio(each, "identity") for each in _OPERATORS if each != "identity"}
    swapped = [(_OPERATORS[each], ratio) for each, ratio in floor.items()]
    merged = measured.ratio("rep_so", "dwconv")
    partial = measured.ratio("dwconv", "pconv")
    claims = (
        decide(
            "RepSO's seven branches become one DWConv, at no extra cost at inference (Cai and "
            "Shen, FalconNet, arXiv:2306.06365, in a digest)",
            "RepSO's time over DWConv's, no extra cost meaning at most 2 %",
            [("LightNet", merged)],
            "below",
            _NO_COST,
        ),
        decide(
            "PConv is faster than DWConv (Chen et al., CVPR 2023, arXiv:2303.03667, in a digest)",
            "time of the network with DWConv over that with PConv",
            [("LightNet", partial)],
            "above",
            1,
        ),
    )
    return Part(
        tables=(
            networks(
                measured,
                measured.parts(*_OPERATORS),
                "LightNet with one spatial operator or another",
                more={each: cells("over", ratio) for each, ratio in floor.items()},
                extra=(estimated("over", "time over the floor"),),
            ),
            ratios(
                "One operator against another",
                [("DWConv / PConv", partial, {}), ("RepSO / DWConv", merged, {})],
                what="time over time",
            ),
        ),
        charts=(
            bars(
                "Latency by spatial operator",
                "ms",
                [(title, measured.latency(each)) for each, title in _OPERATORS.items()],
            ),
        ),
        claims=claims,
        summary=tuple(
            f"With {title}, LightNet takes {ratio} times what it takes with no spatial operator."
            for title, ratio in swapped
            if ratio is not None
        ),
    )


STUDY = Study(
    name="spatial-operator",
    question="What does the spatial operator of a light network cost, all else being equal?",
    paper="Of a light block's spatial operators, only the one between the two pointwise "
    "convolutions matters. Cai and Shen, FalconNet, arXiv:2306.06365, in a digest",
    full=_parts(),
    small=_parts(",width=8,depths=1x1,head=32,num_classes=10,resolution=64"),
    analyse=_analyse,
    notes=(
        "The network without one is the floor: it sees no neighbours but by the stem and the "
        "subsampling. No accuracy is measured.",
    ),
)
