"""The ceilings of a device, from the probes of one session."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lightmobile.device_bench.roofline.probes import probe_of

if TYPE_CHECKING:
    from lightmobile.device_bench.results import Result
    from lightmobile.device_bench.roofline.probes import Resource
    from lightmobile.device_bench.schema import Cost

__all__ = ["Ceilings", "Conditions", "Level", "ceilings_of", "conditions_of", "cost_of"]

Conditions = tuple[str, int | None, str | None, str]
"""Precision, threads, kind of cores, compute unit: what a ceiling holds for."""


@dataclass(frozen=True)
class Level:
    """The bandwidth of one working set.

    Attributes
    ----------
    bytes
        Of the working set.
    per_second
        Bytes read and written in a second.
    result
        The probe's.
    resource
        ``stream`` or ``read``.
    """

    bytes: int
    per_second: float
    result: Result
    resource: Resource


@dataclass(frozen=True)
class Ceilings:
    """What a device can do under the same `conditions`.

    Attributes
    ----------
    compute
        The probe that computed most in a second; None where none was measured.
    levels
        Of the bandwidth, by growing working set.
    """

    conditions: Conditions
    compute: Result | None
    levels: tuple[Level, ...]

    @property
    def macs_per_second(self) -> float:
        """Of the compute probe."""
        return 0.0 if self.compute is None else _rate(cost_of(self.compute).macs, self.compute)

    def level(self, working_set: int) -> Level | None:
        """Return the fastest level that a working set of so many bytes may reach.

        That is any that is not smaller, and the next smaller one: where between two of them a
        cache ends, the probes do not tell.
        """
        if not self.levels:
            return None
        smaller = [each.bytes for each in self.levels if each.bytes <= working_set]
        least = max(smaller, default=0)
        return max(
            (each for each in self.levels if each.bytes >= least),
            key=lambda each: each.per_second,
        )


def cost_of(result: Result) -> Cost:
    """Return the cost in the facts of a `result`, which `has_cost`."""
    facts = result.configuration.facts
    assert facts is not None and facts.cost is not None  # noqa: S101, PT018 - see `ceilings_of`
    return facts.cost


def conditions_of(result: Result) -> Conditions:
    """Return what the ceilings of a `result` depend on."""
    ran = result.configuration
    return (ran.precision, ran.threads, ran.cores, ran.compute)


def ceilings_of(results: Iterable[Result]) -> Mapping[Conditions, Ceilings]:
    """Return the ceilings that the probes among the `results` of one session show."""
    groups: defaultdict[Conditions, list[Result]] = defaultdict(list)
    for result in results:
        facts = result.configuration.facts
        if probe_of(result.configuration.model) and facts and facts.cost and result.slices:
            groups[conditions_of(result)].append(result)
    return {conditions: _ceilings(conditions, found) for conditions, found in groups.items()}


def _ceilings(conditions: Conditions, results: Sequence[Result]) -> Ceilings:
    compute: list[Result] = []
    levels: list[Level] = []
    for result in results:
        probe = probe_of(result.configuration.model)
        if probe is None:
            continue
        if probe.resource == "compute":
            compute.append(result)
        else:
            levels.append(_level(result, probe.resource))
    return Ceilings(
        conditions,
        max(compute, key=lambda each: _rate(cost_of(each).macs, each), default=None),
        tuple(sorted(levels, key=lambda level: level.bytes)),
    )


def _level(result: Result, resource: Resource) -> Level:
    cost = cost_of(result)
    working_set = cost.weight_bytes if resource == "read" else cost.working_set_bytes
    return Level(working_set, _rate(cost.ideal_bytes, result), result, resource)


def _rate(amount: int, result: Result) -> float:
    return amount * 1e9 / result.latency.median
