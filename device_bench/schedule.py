"""When to measure what: rounds of short slices, in blocks between which every process is restarted.

Two things spoil a comparison. The machine drifts, by more between two seconds than two models
differ; so all configurations are measured within every *round*, one short slice each, in shuffled
order. And each process has a bias of its own, by where its memory came to lie: here 0.3 % for
ExecuTorch, and 1 to 4 % for LiteRT. Restarting a process for every round would average that out,
but its first inferences are slower than the rest for seconds. So the processes of all
configurations live together through a *block* of rounds, are warmed up once for it, and then all
are replaced; the biases average over the blocks.

Where there are more configurations than processes can live side by side, a block is one round, a
*sweep*: one process a runtime loads one artifact after another, and every sweep has new processes.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal

from lightmobile.errors import UsageError

__all__ = ["MIN_BLOCKS", "ROUNDS_PER_BLOCK", "Schedule", "Stopped"]

Stopped = Literal["interval", "time", "rounds"]

MIN_BLOCKS = 4  # a start and three restarts
ROUNDS_PER_BLOCK = 8


class Schedule:
    """The blocks and rounds of one bench; rounds are counted on through all blocks.

    Parameters
    ----------
    rounds
        Measure exactly so many, in four blocks or more (one a round below four). Where None, the
        budget decides.
    budget_s
        Seconds that the blocks may take together, starts and warm-ups of processes included.
        Four blocks of one round each are measured in any case.
    seed
        Of the shuffling.
    rounds_per_block
        How long a block's processes live.

    Attributes
    ----------
    stopped
        Why the last block was the last, once it was.
    """

    def __init__(
        self,
        *,
        rounds: int | None,
        budget_s: float,
        seed: int,
        rounds_per_block: int = ROUNDS_PER_BLOCK,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if rounds is not None and rounds < 1:
            raise UsageError(f"{rounds} rounds measure nothing", fix="Give 1 or more")
        if not 0 < budget_s < float("inf"):
            raise UsageError(f"A time budget of {budget_s} s is none", fix="Give seconds above 0")
        self.stopped: Stopped | None = None
        self.rounds_per_block = rounds_per_block
        self._rounds = rounds
        self._budget_s = budget_s
        self._random = random.Random(seed)  # noqa: S311 - an order, not a secret
        self._clock = clock
        self._started = clock()
        self._round = 0

    @property
    def progress(self) -> float:
        """The part of the work that is done, from 0 to 1."""
        if self._rounds is not None:
            return self._round / self._rounds
        return min(1.0, (self._clock() - self._started) / self._budget_s)

    def order(self, configurations: list[int]) -> list[int]:
        """Return them in the order of a round."""
        return self._random.sample(configurations, len(configurations))

    def grouped_order(self, groups: Iterable[Sequence[int]]) -> list[int]:
        """Return the configurations of all groups in the order of a round, groups kept together."""
        shuffled = [self.order([*group]) for group in groups]
        self._random.shuffle(shuffled)
        return [index for group in shuffled for index in group]

    def blocks(self, is_enough: Callable[[], bool]) -> Iterator[Iterator[int]]:
        """Yield the blocks, each as its round numbers.

        Parameters
        ----------
        is_enough
            Asked after a block, from the fourth on, whether what was measured is known well
            enough to stop before the budget is spent.
        """
        self._started = self._clock()
        if self._rounds is not None:
            yield from self._fixed(self._rounds)
            self.stopped = "rounds"
        else:
            yield from self._timed(is_enough)

    def _fixed(self, rounds: int) -> Iterator[Iterator[int]]:
        blocks = min(rounds, max(MIN_BLOCKS, -(-rounds // self.rounds_per_block)))
        for block in range(blocks):
            share = rounds * (block + 1) // blocks - rounds * block // blocks
            yield self._count_rounds(share)

    def _timed(self, is_enough: Callable[[], bool]) -> Iterator[Iterator[int]]:
        end = self._started + self._budget_s
        block = 0
        while self.stopped is None:
            # The first four share the budget, so that a slow configuration gets all of them.
            part = min(1.0, (block + 1) / MIN_BLOCKS)
            began = self._clock()
            until = self._started + part * self._budget_s
            yield self._count_rounds(self.rounds_per_block, until)
            block += 1
            now = self._clock()
            # Half a block more would overrun less than stopping here falls short.
            is_late = end - now < (now - began) / 2
            if block >= MIN_BLOCKS and is_enough():
                self.stopped = "interval"
            elif block >= MIN_BLOCKS and is_late:
                self.stopped = "time"

    def _count_rounds(self, most: int, until: float = float("inf")) -> Iterator[int]:
        for number in range(most):
            if number > 0 and self._clock() >= until:
                return
            self._round += 1
            yield self._round - 1
