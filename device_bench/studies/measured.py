"""What one session measured in one setting, by the part that each network plays in a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lightmobile.device_bench.results import Result
from lightmobile.device_bench.schedule import MIN_BLOCKS
from lightmobile.device_bench.schema import Configuration, Session
from lightmobile.device_bench.schema_artifact import Cost
from lightmobile.device_bench.statistics import paired_ratio
from lightmobile.device_bench.studies.estimate import Estimate

__all__ = ["FEWEST_ROUNDS", "Measured", "Setting", "group", "is_usable"]

# Two processes give an interval that misses the truth half of the time.
FEWEST_ROUNDS = MIN_BLOCKS
# A pass of its own that failed leaves the latency as it is.
_OTHER_PASSES = {"memory", "profile", "sustained"}


@dataclass(frozen=True)
class Setting:
    """All but the network: only results of one setting are compared."""

    runtime: str
    compute: str
    backend: str
    precision: str
    batch: int
    threads: int | None
    cores: str | None
    clocks: str

    @classmethod
    def of(cls, run: Configuration) -> Setting:
        """Return the setting of a configuration."""
        return cls(
            run.runtime,
            run.compute,
            run.backend,
            run.precision,
            run.batch,
            run.threads,
            run.cores,
            run.clocks,
        )

    def __str__(self) -> str:
        words = [" ".join(filter(None, (self.runtime, self.backend, self.precision)))]
        if self.compute != "cpu":
            words.append(self.compute)
        if self.batch != 1:
            words.append(f"batch {self.batch}")
        if self.threads:
            words.append(f"{self.threads} thread" + "s" * (self.threads > 1))
        if self.cores:
            words.append(f"{self.cores} cores")
        if self.clocks != "as-shipped":
            words.append(f"clocks {self.clocks}")
        return ", ".join(words)


@dataclass(frozen=True)
class Measured:
    """The results of one setting.

    Attributes
    ----------
    session
        That measured them.
    names
        Model of each part, such as ``pconv@96x56``; those of the size that the session measured.
    found
        The result of each part that was measured.
    """

    session: Session
    setting: Setting
    names: Mapping[str, str]
    found: Mapping[str, Result]

    def parts(self, *prefixes: str) -> tuple[str, ...]:
        """Return the measured parts that begin with one of `prefixes`, in the study's order."""
        return tuple(
            part for part in self.names if part in self.found and part.startswith(prefixes)
        )

    def cost(self, part: str) -> Cost | None:
        """Return what the part's network costs, where it was measured and its file tells."""
        result = self.found.get(part)
        return result.configuration.facts.cost if result and result.configuration.facts else None

    def latency(self, part: str) -> Estimate | None:
        """Return the median latency in ms."""
        if (result := self.found.get(part)) is None:
            return None
        told = result.latency
        return Estimate(told.median, told.ci95.low, told.ci95.high, (result.id,)).through(
            lambda nanoseconds: nanoseconds / 1e6
        )

    def ratio(self, first: str, second: str) -> Estimate | None:
        """Return how many times the second's latency the first's is; None where one is missing."""
        ours, theirs = self.found.get(first), self.found.get(second)
        if ours is None or theirs is None or not _rounds(ours) & _rounds(theirs):
            return None
        ratio = paired_ratio(ours, theirs)
        enough = ratio.rounds >= FEWEST_ROUNDS
        return Estimate(ratio.median, ratio.ci95.low, ratio.ci95.high, (ours.id, theirs.id), enough)

    def gflops(self, part: str) -> Estimate | None:
        """Return the rate of arithmetic, 1e9 MACs a second: one MAC is one FLOP, as in papers."""
        cost, latency = self.cost(part), self.latency(part)
        if cost is None or latency is None or not cost.macs:
            return None
        return latency.through(lambda ms: cost.macs / ms / 1e6)

    def flops_ratio(self, first: str, second: str) -> Estimate | None:
        """Return how many times the second's rate of arithmetic the first's is."""
        ours, theirs, ratio = self.cost(first), self.cost(second), self.ratio(first, second)
        if ours is None or theirs is None or ratio is None or not (ours.macs and theirs.macs):
            return None
        more = ours.macs / theirs.macs
        return ratio.through(lambda times: more / times)

    def memory_ratio(self, first: str, second: str) -> float | None:
        """Return how many times the second's peak memory the first's is; it has no interval."""
        ours, theirs = self.found.get(first), self.found.get(second)
        peaks = [result.peak_memory_bytes if result else None for result in (ours, theirs)]
        return peaks[0] / peaks[1] if peaks[0] and peaks[1] else None

    def missing(self) -> list[str]:
        """Return the models that were to be measured and were not."""
        return list(
            dict.fromkeys(name for part, name in self.names.items() if part not in self.found)
        )


def is_usable(result: Result) -> bool:
    """Whether a result can be compared: it has slices, and nothing was wrong with them."""
    return bool(result.slices) and all(each.stage in _OTHER_PASSES for each in result.failures)


def group(results: Sequence[Result], names: Mapping[str, str]) -> list[Measured]:
    """Sort the results of one session by setting, each under the part that its network plays.

    A setting of which the session planned runs but measured none is left out.
    """
    usable = [result for result in results if is_usable(result)]
    settings = dict.fromkeys(Setting.of(result.configuration) for result in usable)
    return [
        Measured(
            results[0].session,
            setting,
            names,
            {
                part: result
                for part, name in names.items()
                if (result := _result(usable, setting, name)) is not None
            },
        )
        for setting in settings
    ]


def _result(results: Sequence[Result], setting: Setting, model: str) -> Result | None:
    ours = (
        result
        for result in results
        if result.configuration.model == model and Setting.of(result.configuration) == setting
    )
    return next(ours, None)


def _rounds(result: Result) -> set[int]:
    return {part.round for part in result.slices}
