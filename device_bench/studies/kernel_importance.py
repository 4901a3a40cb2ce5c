"""Which positions of a spatial kernel carry weight, in a trained checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lightmobile.device_bench.findings import Claim, Column, Findings, Row, Table
from lightmobile.device_bench.studies.claims import decide
from lightmobile.device_bench.studies.estimate import Estimate
from lightmobile.device_bench.studies.study import CheckpointStudy, Weights
from lightmobile.device_bench.studies.tables import cells, estimated
from lightmobile.device_bench.studies.trained import bootstrap, trained_kernels

if TYPE_CHECKING:
    from lightmobile.device_bench.studies.trained import Floats

__all__ = ["STUDY"]

_FALCON = "Cai and Shen, FalconNet, arXiv:2306.06365, in a digest"
_FASTER = "Chen et al., CVPR 2023, arXiv:2303.03667, in a digest"
_QUESTION = "Which positions of a trained kernel matter most?"
_NEGLIGIBLE = 0.5


def _run(weights: Weights) -> Findings:
    kinds = _importance(trained_kernels(weights.checkpoint))
    told = {kind: _groups(maps) for kind, maps in kinds.items()}
    layers = sum(len(maps) for maps in kinds.values())
    return Findings(
        study=STUDY.name,
        question=_QUESTION,
        session="",
        device="",
        tables=(
            *(_map(kind, maps) for kind, maps in kinds.items()),
            Table(
                "Importance by kind of position",
                (
                    Column("kernels", "kernels"),
                    Column("positions", "positions"),
                    estimated("mean", "mean |w|, normalised"),
                ),
                tuple(
                    Row({"kernels": kind, "positions": where, **cells("mean", estimate)})
                    for kind, groups in told.items()
                    for where, estimate in groups.items()
                    if where in ("centre", "skeleton", "corners", "outer ring", "inner 3x3")
                ),
            ),
        ),
        claims=_claims(told),
        summary=tuple(
            f"In {kind} kernels, the centre's mean magnitude is {groups['centre']} of the largest."
            for kind, groups in told.items()
        ),
        notes=(
            f"{layers} layers of {weights.checkpoint.name}. Of each, the mean |w| by position is "
            "divided by its largest; intervals are bootstraps over the layers.",
            "Nothing was measured on a device.",
        ),
        quick=weights.quick,
    )


def _importance(kernels: dict[str, Floats]) -> dict[str, Floats]:
    """Return the normalised mean magnitude by position, [layers, K, K], of each kind of kernel."""
    import numpy as np

    kinds: dict[str, list[Floats]] = {}
    for kernel in kernels.values():
        filters, channels, side = kernel.shape[:3]
        depthwise = channels == 1 and filters > 1
        found = np.abs(kernel).mean(axis=(0, 1))
        if found.max() > 0:
            kind = f"{side}x{side} {'depthwise' if depthwise else 'dense or grouped'}"
            kinds.setdefault(kind, []).append(found / found.max())
    return {kind: np.stack(maps) for kind, maps in sorted(kinds.items())}


def _groups(maps: Floats) -> dict[str, Estimate]:
    """Return the means over kinds of positions, and what the claims compare."""
    import numpy as np

    side = maps.shape[1]
    middle = side // 2
    row, column = np.mgrid[:side, :side]
    centre = (row == middle) & (column == middle)
    skeleton = ((row == middle) | (column == middle)) & ~centre
    corners = np.isin(row, (0, side - 1)) & np.isin(column, (0, side - 1))
    outer = np.isin(row, (0, side - 1)) | np.isin(column, (0, side - 1))
    inner = (abs(row - middle) <= 1) & (abs(column - middle) <= 1)

    def mean(where: np.ndarray) -> Estimate:
        return bootstrap(maps, lambda drawn: drawn[..., where].mean(axis=(1, 2)))

    found = {"centre": mean(centre), "skeleton": mean(skeleton), "corners": mean(corners)}
    found["skeleton over corners"] = bootstrap(
        maps,
        lambda d: d[..., skeleton].mean(axis=(1, 2)) / d[..., corners].mean(axis=(1, 2)),
    )
    found["centre over the next"] = bootstrap(
        maps,
        lambda d: d[..., centre].mean(axis=(1, 2)) / d.mean(axis=1)[..., ~centre].max(axis=1),
    )
    if side > 3:
        found |= {"outer ring": mean(outer), "inner 3x3": mean(inner)}
        found["outer ring over inner 3x3"] = bootstrap(
            maps, lambda d: d[..., outer].mean(axis=(1, 2)) / d[..., inner].mean(axis=(1, 2))
        )
    return found


def _map(kind: str, maps: Floats) -> Table:
    mean = maps.mean(axis=0)
    return Table(
        f"Mean |w| by position, {kind}, {len(maps)} layers",
        (Column("row", "row"), *(Column(f"c{i}", f"column {i}") for i in range(len(mean)))),
        tuple(
            Row({"row": str(place), **{f"c{i}": float(value) for i, value in enumerate(line)}})
            for place, line in enumerate(mean)
        ),
    )


def _claims(told: dict[str, dict[str, Estimate]]) -> tuple[Claim, ...]:
    def of(what: str, side: str = "") -> list[tuple[str, Estimate | None]]:
        return [
            (kind, groups[what])
            for kind, groups in told.items()
            if what in groups and kind.startswith(side)
        ]

    return (
        decide(
            "The centre always has the highest importance, of almost 1 "
            f"({_FALCON}; of ordinary convolutions too: {_FASTER})",
            "mean magnitude of the centre over that of the next position",
            of("centre over the next"),
            "above",
            1,
        ),
        decide(
            f"In 3x3 kernels the skeleton matters much more than the corners ({_FALCON})",
            "mean magnitude of the skeleton, without the centre, over the corners'",
            of("skeleton over corners", "3x3"),
            "above",
            1,
        ),
        decide(
            "In 5x5 kernels the outermost ring is negligible against the 3x3 within "
            f"({_FALCON}; negligible is taken to mean below half)",
            "mean magnitude of the ring over that of the 3x3 within",
            of("outer ring over inner 3x3", "5x5"),
            "below",
            _NEGLIGIBLE,
        ),
    )


STUDY = CheckpointStudy(
    name="kernel-importance",
    question=_QUESTION,
    paper=f"The centre matters most, then the skeleton, then the corners. {_FALCON}",
    run=_run,
)
