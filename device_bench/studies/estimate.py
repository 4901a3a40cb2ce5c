"""A figure with its interval, and what it says to a claim."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from statistics import NormalDist

from lightmobile.device_bench.findings import Verdict

__all__ = ["Estimate", "all_of", "written"]


@dataclass(frozen=True)
class Estimate:
    """A figure, its 95 % interval where it is known, and the ids of the results behind it.

    `decisive` is False where the interval rests on so little that it may only be shown.
    """

    value: float
    low: float | None = None
    high: float | None = None
    results: tuple[str, ...] = ()
    decisive: bool = True

    def through(self, function: Callable[[float], float]) -> Estimate:
        """Return what a monotone `function` makes of the figure and of its interval."""
        if self.low is None or self.high is None:
            return replace(self, value=function(self.value))
        low, high = sorted((function(self.low), function(self.high)))
        return replace(self, value=function(self.value), low=low, high=high)

    def among(self, cases: int) -> Estimate:
        """Return the same with the interval that holds in all of `cases` at once, with 95 %.

        Bonferroni's correction, as if the ends were those of a normal distribution: of twenty
        cases that are all the same, one would else differ by chance.
        """
        if self.low is None or self.high is None or cases < 2:
            return self
        normal = NormalDist()
        stretch = normal.inv_cdf(1 - 0.025 / cases) / normal.inv_cdf(0.975)
        low, high = (self.value + stretch * (end - self.value) for end in (self.low, self.high))
        return replace(self, low=low, high=high)

    def above(self, border: float) -> Verdict:
        """Whether it lies above `border`: undecided where the interval holds the border."""
        if self.low is None or self.high is None or self.low <= border <= self.high:
            return "undecided"
        if not self.decisive:
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
