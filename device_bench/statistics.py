"""Statistics of latencies that come in slices: the median, its interval, and paired ratios.

Inferences timed one after another are alike in more than their model: they share the moment (a
slice) and the process, which carries a bias of its own through its memory layout. Resampling
single samples would count them as independent and give intervals many times too narrow. So the
bootstrap draws whole blocks, as they were measured: processes first, then slices within each
(Davison & Hinkley, *Bootstrap Methods and their Application*, 1997, section 3.8). With only three
processes that interval is still somewhat too narrow, as every bootstrap of three things is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from lightmobile.errors import ComparisonError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lightmobile.device_bench.results import Result
    from lightmobile.device_bench.schema import Slice

    Floats: TypeAlias = NDArray[np.float64]
    Counts: TypeAlias = NDArray[np.int64]

__all__ = [
    "Interval",
    "Latency",
    "Ratio",
    "is_narrow",
    "latency",
    "paired_figure",
    "paired_ratio",
]

_RESAMPLES = 1000
_GRID = 1000


@dataclass(frozen=True)
class Interval:
    """A 95 % interval; both ends are None where fewer than two blocks were measured."""

    low: float | None
    high: float | None

    @property
    def width(self) -> float:
        """Its width; infinite where it is unknown."""
        return float("inf") if self.low is None or self.high is None else self.high - self.low


@dataclass(frozen=True)
class Latency:
    """Steady latency of one inference, in nanoseconds; percentiles over all samples."""

    median: float
    ci95: Interval
    p5: float
    p90: float
    p95: float


@dataclass(frozen=True)
class Ratio:
    """A figure of several results, such as the ratio of two, over the rounds of all."""

    median: float
    ci95: Interval
    rounds: int


def latency(slices: Sequence[Slice], *, seed: int = 0) -> Latency:
    """Summarize the samples of one result.

    Raises
    ------
    ValueError
        There is no slice.
    """
    import numpy as np

    blocks = [np.asarray(part.samples_ns, dtype=np.float64) for part in slices]
    p5, median, p90, p95 = np.percentile(np.concatenate(blocks), (5, 50, 90, 95)).tolist()
    interval = _interval(blocks, [part.process for part in slices], seed)
    return Latency(median, interval, p5, p90, p95)


def is_narrow(slices: Sequence[Slice], percent: float, *, seed: int = 0) -> bool:
    """Whether the median is known well enough to stop: its interval below `percent` of it."""
    found = latency(slices, seed=seed)
    return found.ci95.width < found.median * percent / 100


def paired_ratio(first: Result, second: Result, *, seed: int = 0) -> Ratio:
    """Compare two results of one session, round by round.

    The two slices of a round lie seconds apart, so what slows the device slows both, and their
    ratio holds where the latencies themselves drift.

    Raises
    ------
    ComparisonError
        The results come from different sessions, share no round, or one of them is emulated.
    """
    return paired_figure((first, second), lambda ours, theirs: ours / theirs, seed=seed)


def paired_figure(
    results: Sequence[Result], combine: Callable[..., float], *, seed: int = 0
) -> Ratio:
    """Return a figure of several results of one session, computed round by round.

    Parameters
    ----------
    combine
        Makes the figure of the median latencies, in nanoseconds, that `results` had in a round.

    Raises
    ------
    ComparisonError
        As for `paired_ratio`.
    """
    import numpy as np

    _refuse_unpaired(results)
    parts = [{part.round: part for part in result.slices} for result in results]
    rounds = sorted(set.intersection(*(set(each) for each in parts)))
    if not rounds:
        raise ComparisonError("The results have no round in common", fix="Measure them again")
    figures = np.array(
        [combine(*(float(np.median(each[r].samples_ns)) for each in parts)) for r in rounds]
    )
    processes = [tuple(each[r].process for each in parts) for r in rounds]
    interval = _interval(list(figures[:, None]), processes, seed)
    return Ratio(float(np.median(figures)), interval, len(rounds))


def _refuse_unpaired(results: Sequence[Result]) -> None:
    if len({result.session.id for result in results}) > 1:
        raise ComparisonError(
            "The results come from different sessions",
            why="What else the device did, and its heat, differ between them by an unknown amount",
            fix="Give them to one `bench`, which interleaves them",
        )
    for result in results:
        if result.configuration.emulated:
            raise ComparisonError(
                f"{result.configuration.model} on {result.configuration.runtime} was emulated",
                why="An emulator's time says nothing of a device's",
                fix="Measure it on a device",
            )


def _interval(blocks: Sequence[Floats], processes: Sequence[Any], seed: int) -> Interval:
    """Return the bootstrap percentile interval of the median of all values in `blocks`."""
    import numpy as np

    if len(blocks) < 2:
        return Interval(None, None)
    medians = _weighted_medians(blocks, _draws(processes, seed))
    low, high = np.percentile(medians, (2.5, 97.5)).tolist()
    return Interval(low, high)


def _draws(processes: Sequence[Any], seed: int) -> Counts:
    """Return how often each resample draws each block, int64 [resamples, blocks]."""
    import numpy as np

    random = np.random.Generator(np.random.PCG64(seed))
    members = {
        process: [block for block, owner in enumerate(processes) if owner == process]
        for process in processes
    }
    drawn = random.multinomial(len(members), [1 / len(members)] * len(members), size=_RESAMPLES)
    counts = np.zeros((_RESAMPLES, len(processes)), dtype=np.int64)
    for times, blocks in zip(drawn.T, members.values(), strict=True):
        # A process that is drawn twice resamples its blocks twice.
        size = len(blocks)
        counts[:, blocks] = random.multinomial(times * size, [1 / size] * size)
    return counts


def _weighted_medians(blocks: Sequence[Floats], draws: Counts) -> Floats:
    """Return the median of each resample, float64 [resamples].

    Instead of gathering the values of every resample, count how many of each block lie at or
    below the points of a grid: the values themselves where they are few, else their quantiles.
    """
    import numpy as np

    values = np.sort(np.concatenate(list(blocks)))
    grid = values[:: -max(1, len(values) // _GRID)][::-1]  # from the top: it holds the largest
    below = np.stack([np.searchsorted(np.sort(block), grid, side="right") for block in blocks])
    sizes = np.array([len(block) for block in blocks])
    # Whole numbers on purpose: BLAS would start threads, and they would disturb the next slice.
    reached, total = draws @ below, (draws @ sizes)[:, None]
    lower: Floats = grid[np.argmax(2 * reached >= total, axis=1)]
    upper: Floats = grid[np.argmax(2 * reached > total, axis=1)]
    return 0.5 * (lower + upper)
