"""A figure with its interval, and what it says to a claim."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from lightmobile.device_bench.findings import Verdict

__all__ = ["Estimate", "all_of", "written"]


@dataclass(frozen=True)
class Estimate:
    """A figure, its 95 % interval where it is known, and the ids of the results behind it."""

    value: float
    low: float | None = None
    high: float | None = None
    results: tuple[str, ...] = ()

    def through(self, function: Callable[[float], float]) -> Estimate:
        """Return what a monotone `function` makes of the figure and of its interval."""
        if self.low is None or self.high is None:
            return Estimate(function(self.value), None, None, self.results)
        low, high = sorted((function(self.low), function(self.high)))
        return Estimate(function(self.value), low, high, self.results)

    def above(self, border: float) -> Verdict:
        """Whether it lies above `border`: undecided where the interval holds the border."""
        if self.low is None or self.high is None or self.low <= border <= self.high:
            return "undecided"
        return "holds" if self.low > border else "does not hold"

    def below(self, border: float) -> Verdict:
        """Whether it lies below `border`: undecided where the interval holds the border."""
        verdict = self.above(border)
        if verdict == "undecided":
            return verdict
        return "holds" if verdict == "does not hold" else "does not hold"

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"{written(self.value)} (interval unknown)"
        return f"{written(self.value)} ({written(self.low)} to {written(self.high)})"


def all_of(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the verdict on a claim that says something of every case.

    One case that does not hold is enough to refute it, and one that is open to leave it open.
    """
    found = set(verdicts)
    if "does not hold" in found:
        return "does not hold"
    return "holds" if found == {"holds"} else "undecided"


def written(value: float) -> str:
    """Return a figure as sentences write it: three digits, and no power of ten."""
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
