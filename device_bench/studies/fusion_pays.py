"""Networks in their training form against their deployed form."""

from __future__ import annotations

from lightmobile.device_bench.findings import Cell
from lightmobile.device_bench.studies.claims import decide
from lightmobile.device_bench.studies.measured import Measured
from lightmobile.device_bench.studies.study import Part, Study
from lightmobile.device_bench.studies.tables import bars, networks, ratios

__all__ = ["STUDY"]

_VANILLA = "Chen et al., VanillaNet, NeurIPS 2023, arXiv:2305.12972, in a digest"
_FALCON = "Cai and Shen, FalconNet, arXiv:2306.06365, in a digest"
_TITLES = {
    "vanillanet": "VanillaNet: two convolutions become one",
    "rep_so": "RepSO: seven branches become one DWConv",
    "ref_co": "RefCO: parallel factors become one pair",
    "hetconv": "HetConv: masked weights become plain ones",
}


def _parts(names: dict[str, str]) -> dict[str, str]:
    return {
        f"{form}@{each}": name + ending
        for each, name in names.items()
        for form, ending in (("fused", ""), ("training", ",training=true"))
    }


def _analyse(measured: Measured) -> Part:
    found = {
        each: measured.ratio(f"training@{each}", f"fused@{each}")
        for each in _TITLES
        if f"fused@{each}" in measured.names
    }
    return Part(
        tables=(
            networks(measured, measured.parts("fused@", "training@"), "Both forms"),
            ratios(
                "Training form over deployed form",
                [
                    (_TITLES[each], ratio, _relative(measured, each))
                    for each, ratio in found.items()
                ],
                what="time over time",
            ),
        ),
        charts=(bars("Time of the training form over the deployed one's", "times", found.items()),),
        claims=(
            decide(
                "Fusing the pairs of 1x1 convolutions, as VanillaNet does after training, makes "
                f"inference faster ({_VANILLA})",
                "training form's time over the deployed form's",
                [("VanillaNet", found.get("vanillanet"))],
                "above",
                1,
            ),
            decide(
                "The branches of RepSO and RefCO cost nothing at inference, since they merge into "
                f"one ({_FALCON})",
                "training form's time over the deployed form's, which merging must shorten",
                [
                    (title, found[each])
                    for each, title in (("rep_so", "RepSO"), ("ref_co", "RefCO"))
                    if each in found
                ],
                "above",
                1,
            ),
        ),
        summary=tuple(
            f"{_TITLES[each]}: the training form takes {ratio} times as long."
            for each, ratio in found.items()
            if ratio is not None
        ),
    )


def _relative(measured: Measured, each: str) -> dict[str, Cell]:
    trained, fused = measured.cost(f"training@{each}"), measured.cost(f"fused@{each}")
    counted: dict[str, Cell] = {}
    if trained and fused and fused.macs and fused.params:
        counted = {
            "MACs, times": trained.macs / fused.macs,
            "parameters, times": trained.params / fused.params,
        }
    peak = measured.memory_ratio(f"training@{each}", f"fused@{each}")
    return {**counted, "peak memory, times": peak}


STUDY = Study(
    name="fusion-pays",
    question="What does re-parameterization save on this device?",
    paper=f"What training adds is merged away before inference. {_VANILLA}; {_FALCON}",
    full=_parts(
        {
            "vanillanet": "vanillanet_5",
            "rep_so": "lightnet_meta_light,s2=rep_so",
            "ref_co": "falconnet,s2=dwconv",
            "hetconv": "hetconv_resnet50_p4",
        }
    ),
    small=_parts(
        {
            "vanillanet": "vanillanet_5,width=8,num_classes=10,resolution=64",
            "rep_so": "lightnet_meta_light,s2=rep_so,width=8,depths=1x1,head=32,"
            "num_classes=10,resolution=64",
        }
    ),
    analyse=_analyse,
    memory=True,
    notes=(
        "Exporters fold a norm into the convolution before it in either form, so what is compared "
        "is the rest: branches, pairs and masks.",
        "HetConv's training form computes its weights at every inference, which runtimes are slow "
        "at; its deployed form does not.",
    ),
)
