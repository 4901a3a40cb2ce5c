"""How a claim is put to the figures."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from lightmobile.device_bench.findings import Claim, Verdict
from lightmobile.device_bench.studies.estimate import Estimate, all_of, written
from lightmobile.device_bench.studies.measured import FEWEST_ROUNDS

__all__ = ["decide"]

Labelled = Iterable[tuple[str, Estimate | None]]


def decide(
    paper: str, here: str, found: Labelled, side: Literal["above", "below"], border: float
) -> Claim:
    """Decide a claim that says of every case that its figure lies above, or below, a border.

    Where there are several cases, their intervals are widened so that all hold at once.

    Parameters
    ----------
    paper
        What the paper says, and where.
    here
        What the figures are, such as ``DWConv's time over PConv's``.
    found
        The figure of each case; with one that was not measured a claim cannot hold.
    """
    cases = list(found)
    known = [(label, each) for label, each in cases if each is not None]
    missing = [label for label, each in cases if each is None]
    joint = [each.among(len(known)) for _, each in known]
    verdicts: list[Verdict] = [
        each.above(border) if side == "above" else each.below(border) for each in joint
    ]
    if missing or not cases:
        verdicts.append("undecided")
    told = "; ".join(f"{label}: {each}" for label, each in known) or "nothing was measured"
    lacking = f". Not measured: {', '.join(missing)}" if missing and known else ""
    if any(not each.decisive for _, each in known):
        lacking += f". Fewer than {FEWEST_ROUNDS} rounds decide nothing"
    return Claim(
        paper,
        all_of(verdicts),
        f"{here} (it holds {side} {written(border)}): {told}{lacking}",
        tuple(dict.fromkeys(id_ for _, each in known for id_ in each.results)),
    )
