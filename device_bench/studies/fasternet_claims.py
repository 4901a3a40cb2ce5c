"""FasterNet against the light networks that its paper compares it with."""

from __future__ import annotations

from dataclasses import dataclass

from lightmobile.device_bench.findings import Claim
from lightmobile.device_bench.studies.claims import decide
from lightmobile.device_bench.studies.measured import Measured
from lightmobile.device_bench.studies.study import Part, Study
from lightmobile.device_bench.studies.tables import bars, networks, ratios

__all__ = ["STUDY"]

_ISSUE = "figures by the authors, issue 22 of their repository"
_ABSTRACT = "abstract of Chen et al., CVPR 2023, arXiv:2303.03667"


@dataclass(frozen=True)
class _Rival:
    """A network that FasterNet is faster than, by how much on which device, and who says so."""

    part: str
    title: str
    ours: str
    gpu: float
    cpu: float
    arm: float
    source: str


# Images a second on the GPU, milliseconds on the others.
_RIVALS = (
    _Rival("mobilevit_xxs", "MobileViT-XXS", "fasternet_t0", 2.8, 3.3, 2.4, _ABSTRACT),
    _Rival(
        "shufflenet_x1_5",
        "ShuffleNetV2 x1.5",
        "fasternet_t0",
        6807 / 4878,
        12.1 / 9.2,
        266 / 143,
        _ISSUE,
    ),
    _Rival(
        "mobilenet_v2",
        "MobileNetV2",
        "fasternet_t0",
        6807 / 4198,
        12.2 / 9.2,
        442 / 143,
        _ISSUE,
    ),
    _Rival(
        "shufflenet_x2",
        "ShuffleNetV2 x2",
        "fasternet_t1",
        3782 / 3339,
        17.8 / 17.7,
        403 / 285,
        _ISSUE,
    ),
    _Rival(
        "mobilenet_v2_x1_4",
        "MobileNetV2 x1.4",
        "fasternet_t1",
        3782 / 2711,
        22.6 / 17.7,
        650 / 285,
        f"{_ISSUE}, where its variant is not named: this one has the accuracy and the counts",
    ),
)
_NAMES = {"fasternet_t0": "FasterNet-T0", "fasternet_t1": "FasterNet-T1"}
_CLASSES = {"gpu": "a GPU", "cpu": "a CPU", "arm": "ARM"}


def _device_class(measured: Measured) -> str:
    """Return which of the paper's three devices this one is like."""
    if measured.setting.compute == "gpu":
        return "gpu"
    machine = measured.session.device.machine.lower()
    return "arm" if machine.startswith(("arm", "aarch")) else "cpu"


def _analyse(measured: Measured) -> Part:
    ours = _device_class(measured)
    rivals = [rival for rival in _RIVALS if rival.part in measured.names]
    found = [(rival, measured.ratio(rival.part, rival.ours)) for rival in rivals]
    labels = {rival.part: f"{rival.title} / {_NAMES[rival.ours]}" for rival in rivals}
    return Part(
        tables=(
            networks(measured, measured.parts(*measured.names), "The networks"),
            ratios(
                "How many times FasterNet's time the other takes",
                [
                    (
                        labels[rival.part],
                        ratio,
                        {
                            **{
                                f"paper, {what}": getattr(rival, key)
                                for key, what in _CLASSES.items()
                            },
                            "faster here": ratio.above(1) if ratio else None,
                        },
                    )
                    for rival, ratio in found
                ],
                what="here",
            ),
        ),
        charts=(
            bars(
                "Time over FasterNet's",
                "times",
                [(rival.title, ratio) for rival, ratio in found],
            ),
        ),
        claims=tuple(_claim(rival, measured, ours) for rival in rivals),
        summary=tuple(
            f"{rival.title} takes {ratio} times {_NAMES[rival.ours]}'s time; the paper's figure "
            f"for {_CLASSES[ours]} is {getattr(rival, ours):.3g}."
            for rival, ratio in found
            if ratio is not None
        ),
        notes=(
            f"This device is like the one that the paper calls {_CLASSES[ours]}: one thread and "
            "one image on a CPU and on ARM, batches of images on a GPU.",
        ),
    )


def _claim(rival: _Rival, measured: Measured, ours: str) -> Claim:
    published = getattr(rival, ours)
    return decide(
        f"{_NAMES[rival.ours]} is {published:.3g} times as fast as {rival.title} on "
        f"{_CLASSES[ours]} ({rival.source})",
        f"{rival.title}'s time over {_NAMES[rival.ours]}'s",
        [("here", measured.ratio(rival.part, rival.ours))],
        "above",
        published,
    )


_FULL = {
    "fasternet_t0": "fasternet_t0",
    "fasternet_t1": "fasternet_t1",
    "mobilevit_xxs": "mobilevit_xxs",
    "shufflenet_x1_5": "shufflenet_v2_x1_5",
    "shufflenet_x2": "shufflenet_v2_x2",
    "mobilenet_v2": "mobilenet_v2",
    "mobilenet_v2_x1_4": "mobilenet_v2_x1_4",
}

STUDY = Study(
    name="fasternet-claims",
    question="Is FasterNet as much faster than other light networks here as its paper says?",
    paper="FasterNet-T0 is 2.8, 3.3 and 2.4 times as fast as MobileViT-XXS on a GPU, a CPU and "
    f"ARM. {_ABSTRACT}",
    full=_FULL,
    small={
        "fasternet_t0": "fasternet_t0,depths=1x1x1x1,resolution=64",
        "mobilenet_v2": "mobilenet_v2,depths=1x1x1x1x1x1x1,resolution=64",
    },
    analyse=_analyse,
    notes=(
        "Each network runs at its own input size: MobileViT at 256x256, the others at 224x224.",
    ),
)
