from __future__ import annotations

import pytest

from lightmobile.device_bench.schedule import MIN_BLOCKS, ROUNDS_PER_BLOCK, Schedule
from lightmobile.errors import UsageError


class Clock:
    """Time that passes only where the test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def blocks(
    *,
    rounds: int | None = None,
    budget_s: float = 60.0,
    start_s: float = 0.0,
    round_s: float = 0.0,
    enough: bool = False,
) -> tuple[list[list[int]], Schedule, Clock]:
    """Go through a schedule whose blocks start in `start_s` and whose rounds take `round_s`."""
    clock = Clock()
    schedule = Schedule(rounds=rounds, budget_s=budget_s, seed=0, clock=clock)
    found: list[list[int]] = []
    for block in schedule.blocks(lambda: enough):
        clock.now += start_s
        found.append([])
        for number in block:
            clock.now += round_s
            found[-1].append(number)
    return found, schedule, clock


@pytest.mark.parametrize("rounds", [1, 2, 3, 4, 5, 30, 32, 33, 100])
def test_exactly_the_rounds_asked_for(rounds: int) -> None:
    found, schedule, _ = blocks(rounds=rounds)
    assert [number for block in found for number in block] == list(range(rounds))
    assert schedule.stopped == "rounds"
    sizes = [len(block) for block in found]
    assert max(sizes) <= ROUNDS_PER_BLOCK
    assert max(sizes) - min(sizes) <= 1
    assert len(found) >= min(rounds, MIN_BLOCKS)


@pytest.mark.parametrize(("start_s", "round_s"), [(0.5, 0.1), (2.0, 0.5), (4.0, 2.0), (0.1, 4.0)])
def test_a_budget_is_nearly_spent_and_hardly_overrun(start_s: float, round_s: float) -> None:
    found, schedule, clock = blocks(budget_s=60.0, start_s=start_s, round_s=round_s)
    block_s = start_s + ROUNDS_PER_BLOCK * round_s
    assert abs(clock.now - 60.0) <= max(block_s / 2, round_s + start_s)
    assert schedule.stopped == "time"
    assert len(found) >= MIN_BLOCKS
    numbers = [number for block in found for number in block]
    assert numbers == list(range(len(numbers)))


def test_even_no_budget_gives_four_processes() -> None:
    found, schedule, _ = blocks(budget_s=0.001, start_s=5, round_s=1)
    assert [len(block) for block in found] == [1] * MIN_BLOCKS
    assert schedule.stopped == "time"


def test_stops_when_enough_is_known_but_never_before_the_restarts() -> None:
    found, schedule, _ = blocks(start_s=1, round_s=0.1, enough=True)
    assert len(found) == MIN_BLOCKS
    assert schedule.stopped == "interval"


def test_orders_are_shuffled_and_reproducible() -> None:
    def orders(seed: int) -> list[list[int]]:
        schedule = Schedule(rounds=1, budget_s=1, seed=seed)
        return [schedule.order([0, 1, 2]) for _ in range(50)]

    assert orders(1) == orders(1) != orders(2)
    assert all(sorted(order) == [0, 1, 2] for order in orders(1))
    assert len({tuple(order) for order in orders(1)}) == 6


@pytest.mark.parametrize("budget_s", [0, -1, float("nan"), float("inf")])
def test_budgets_that_are_none(budget_s: float) -> None:
    with pytest.raises(UsageError, match="budget"):
        Schedule(rounds=None, budget_s=budget_s, seed=0)


@pytest.mark.parametrize("rounds", [0, -3])
def test_rounds_that_are_none(rounds: int) -> None:
    with pytest.raises(UsageError, match="rounds"):
        Schedule(rounds=rounds, budget_s=1, seed=0)
