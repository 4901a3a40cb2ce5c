"""Shallow and wide against deep and narrow, at the same MACs."""

from __future__ import annotations

from lightmobile.device_bench.findings import Chart, Column, Row, Series, Table
from lightmobile.device_bench.studies.claims import decide
from lightmobile.device_bench.studies.measured import Measured
from lightmobile.device_bench.studies.study import Part, Study
from lightmobile.device_bench.studies.tables import cells, estimated, networks, point, ratios

__all__ = ["STUDY"]

_PAPER = "Chen et al., VanillaNet, NeurIPS 2023, arXiv:2305.12972, in a digest"
_README = "milliseconds on an A100 in PyTorch at batch 1, README of the authors' repository"
_SHALLOWEST = "same@6"

# The authors' A100, milliseconds.
_PUBLISHED = {
    "own@5": 1.61,
    "own@6": 2.01,
    "own@9": 2.91,
    "own@13": 4.26,
    "resnet50": 7.64,
}


def _analyse(measured: Measured) -> Part:
    same = [part for part in measured.names if part.startswith("same@")]
    deeper = [
        (f"{part.partition('@')[2]} layers", measured.flops_ratio(_SHALLOWEST, part), part)
        for part in same
        if part != _SHALLOWEST
    ]
    resnet = measured.ratio("resnet50", "own@9")
    claims = [
        decide(
            "Depth, not FLOPs or parameters, is what limits speed now: at the same FLOPs the "
            f"deeper network is the slower ({_PAPER})",
            "time of the deeper, narrower network over that of six layers, for each MAC",
            [(label, ratio) for label, ratio, _ in deeper],
            "above",
            1,
        )
    ]
    if "resnet50" in measured.names:
        claims.append(
            decide(
                "VanillaNet-9 (79.87 % top-1) is 2.6 times as fast as ResNet-50 (79.8 % there): "
                f"2.91 against 7.64 ({_README})",
                "ResNet-50's time over VanillaNet-9's",
                [("here", resnet)],
                "above",
                7.64 / 2.91,
            )
        )
    return Part(
        tables=(
            networks(measured, measured.parts("same@"), "As many MACs in more layers"),
            ratios(
                "Time over that of six layers, for each MAC",
                [(label, ratio, {}) for label, ratio, _ in deeper],
                what="time a MAC",
            ),
            _beside_published(measured),
        ),
        charts=(_chart(measured, same),),
        claims=tuple(claims),
        summary=(
            *(
                f"With {label} instead of 6, a VanillaNet of the same MACs takes {ratio} times as "
                "long for each MAC."
                for label, ratio, _ in deeper
                if ratio is not None
            ),
            *([f"ResNet-50 takes {resnet} times VanillaNet-9's time."] if resnet else []),
        ),
    )


def _beside_published(measured: Measured) -> Table:
    rows = [
        Row(
            {"network": measured.names[part], **cells("ms", latency), "published": milliseconds},
            latency.results,
        )
        for part, milliseconds in _PUBLISHED.items()
        if part in measured.names and (latency := measured.latency(part)) is not None
    ]
    return Table(
        "Published networks beside the authors' A100",
        (
            Column("network", "network"),
            estimated("ms", "median ms", 4),
            Column("published", "their ms"),
        ),
        tuple(rows),
    )


def _chart(measured: Measured, same: list[str]) -> Chart:
    points = [
        point(int(part.partition("@")[2]), latency, measured.names[part])
        for part in same
        if (latency := measured.latency(part)) is not None
    ]
    series = (Series("VanillaNet at the same MACs", "line", tuple(points)),) if points else ()
    return Chart("Latency by depth", "layers", "ms", series)


STUDY = Study(
    name="depth-vs-width",
    question="At the same MACs, is a shallow and wide network faster than a deep and narrow one?",
    paper=f"Few wide layers are faster than many narrow ones. {_PAPER}",
    full={
        "same@6": "vanillanet_6",
        "same@7": "vanillanet_7,width=476",
        "same@9": "vanillanet_9,width=428",
        "same@11": "vanillanet_11,width=388",
        "same@13": "vanillanet_13,width=360",
        "own@5": "vanillanet_5",
        "own@6": "vanillanet_6",
        "own@9": "vanillanet_9",
        "own@13": "vanillanet_13",
        "resnet50": "resnet50",
    },
    small={
        f"same@{depth}": f"vanillanet_{depth},width={width},num_classes=10,resolution=64"
        for depth, width in ((6, 12), (13, 8))
    },
    analyse=_analyse,
    notes=(
        "The widths are chosen for VanillaNet-6's MACs, to 1 %; what is left is taken out by "
        "comparing times for each MAC. No accuracy is measured.",
    ),
)
