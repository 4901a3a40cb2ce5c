"""How long an operator or a model must take at least, and what share of that bound it reaches.

Williams, Waterman & Patterson, "Roofline", CACM 52(4), 2009, with a roof for every working set.
The least time is the larger of two: that of the arithmetic at the compute ceiling, and that of the
ideal traffic, activations and weights each at the bandwidth of the memory that they fit into.
Both come from probes of the same session, so that shares are taken round by round.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lightmobile.device_bench.roofline.ceilings import conditions_of, cost_of
from lightmobile.device_bench.statistics import Interval, paired_figure

if TYPE_CHECKING:
    from lightmobile.device_bench.results import Result
    from lightmobile.device_bench.roofline.ceilings import Ceilings, Conditions

__all__ = ["Bound", "bound_of", "bounds_of"]


@dataclass(frozen=True)
class Bound:
    """The bound of a result.

    Attributes
    ----------
    binds
        What takes longer.
    share
        The bound over the measured time: 1 is the roof.
    share_ci95
        Of the share, paired with the probes' rounds.
    results
        The ids of the probes that it rests on.
    """

    binds: Literal["compute", "memory"]
    seconds: float
    share: float
    share_ci95: Interval
    results: tuple[str, ...]

    @property
    def is_exceeded(self) -> bool:
        """Whether even the low end of the interval lies above the roof: a wrong count or roof."""
        low = self.share_ci95.low
        return low is not None and low > 1


def bounds_of(
    results: Iterable[Result], ceilings: Mapping[Conditions, Ceilings]
) -> dict[str, Bound]:
    """Return the bounds that are known, by the ids of the `results`; an emulated one has none."""
    found = {}
    for result in results:
        above = ceilings.get(conditions_of(result))
        if above is not None and not result.configuration.emulated:
            bound = bound_of(result, above)
            if bound is not None:
                found[result.id] = bound
    return found


def bound_of(result: Result, ceilings: Ceilings) -> Bound | None:
    """Return the bound of `result`; None where the ceilings, or its cost, are not known.

    Raises
    ------
    ComparisonError
        The result is emulated, or from another session than the ceilings.
    """
    facts = result.configuration.facts
    if facts is None or facts.cost is None or ceilings.compute is None:
        return None
    cost = facts.cost
    activations = ceilings.level(cost.working_set_bytes)
    weights = ceilings.level(cost.weight_bytes)
    if activations is None or weights is None:
        return None
    compute = ceilings.compute
    macs = cost.macs / max(1, cost_of(compute).macs)
    moved = (
        cost.activation_bytes / cost_of(activations.result).ideal_bytes,
        cost.weight_bytes / cost_of(weights.result).ideal_bytes,
    )

    def times(peak: float, stream: float, read: float) -> tuple[float, float]:
        return macs * peak, moved[0] * stream + moved[1] * read

    def share(measured: float, peak: float, stream: float, read: float) -> float:
        return max(times(peak, stream, read)) / measured

    probes = (compute, activations.result, weights.result)
    found = paired_figure((result, *probes), share)
    arithmetic, traffic = times(*(probe.latency.median for probe in probes))
    return Bound(
        "compute" if arithmetic >= traffic else "memory",
        max(arithmetic, traffic) / 1e9,
        found.median,
        found.ci95,
        tuple(dict.fromkeys(probe.id for probe in probes)),
    )
