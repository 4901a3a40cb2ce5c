"""Measure operators beneath the ceilings of the device, in one session."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lightmobile.device_bench.benchmark import BenchReport, bench
from lightmobile.device_bench.devices import Device
from lightmobile.device_bench.findings import Findings
from lightmobile.device_bench.plan import Clocks
from lightmobile.device_bench.roofline.operator_study import (
    STUDY,
    above_the_roof,
    operator_findings,
)
from lightmobile.device_bench.roofline.operators import OPERATORS, PAPER_SIZES, operator_names
from lightmobile.device_bench.roofline.probes import probes
from lightmobile.device_bench.store import Store
from lightmobile.errors import VerificationError

__all__ = ["OperatorReport", "bench_ops"]

_QUICK_SIZES = ((16, 14), (32, 7))
_QUICK_LAYERS = 2
_QUICK_OPERATORS = ("dwconv", "dwconv_wide", "pconv", "pconv_pwconv", "dwconv_pwconv")
# Of a whole table of 108 configurations and 34 probes, four sweeps; see docs/operators.md.
_BUDGET_S = 360.0


@dataclass(frozen=True)
class OperatorReport:
    """What one call of `bench_ops` found, and the results behind it."""

    findings: Findings
    report: BenchReport

    def check(self) -> None:
        """Check that no operator is above its roof.

        Raises
        ------
        VerificationError
            One is: a ceiling or a count is wrong, and the store has the figures.
        """
        if wrong := above_the_roof(self.report.results):
            raise VerificationError(
                "An operator was faster than its roof",
                why="; ".join(wrong),
                fix="A ceiling was measured too low (was the machine busy?) or a count is wrong: "
                "measure again, and report it if it stays",
            )


def bench_ops(
    operators: Sequence[str] | None = None,
    *,
    sizes: Sequence[tuple[int, int]] | None = None,
    layers: int | None = None,
    device: str | Device = "host",
    compute: str = "cpu",
    runtimes: Sequence[str] | None = None,
    precision: str | Sequence[str] | None = "fp32",
    batch: int | Sequence[int] = 1,
    threads: int | Sequence[int] = 1,
    cores: str | Sequence[str | None] | None = None,
    clocks: Clocks = "as-shipped",
    rounds: int | None = None,
    time_budget: float = _BUDGET_S,
    store: Store | str | os.PathLike[str] | None = None,
    quick: bool = False,
    progress: Callable[[str, str], None] | None = None,
    seed: int = 0,
) -> OperatorReport:
    """Measure stacks of operators, and what the device can do at most, interleaved.

    Parameters
    ----------
    operators
        Of `OPERATORS`; all where None.
    sizes
        Channels, and height and width; the paper's four where None.
    layers
        Of a stack; ten where None, as in the paper.
    device, compute, runtimes, precision, batch, threads, cores, clocks
        As `bench` takes them.
    rounds, time_budget, store, progress, seed
        As `bench` takes them; a round is a sweep over all operators.
    quick
        A small table, to see that everything works.

    Raises
    ------
    UsageError
        A word or number is not usable.
    DeviceError
        Nothing ran.
    """
    chosen = operators or (_QUICK_OPERATORS if quick else tuple(OPERATORS))
    names = operator_names(
        chosen,
        sizes or (_QUICK_SIZES if quick else PAPER_SIZES),
        layers or (_QUICK_LAYERS if quick else 10),
    )
    report = bench(
        [*names, *(probe.model for probe in probes(quick) if probe.model not in names)],
        device=device,
        compute=compute,
        runtimes=runtimes,
        precision=precision,
        batch=batch,
        threads=threads,
        cores=cores,
        clocks=clocks,
        rounds=rounds or (3 if quick else None),
        time_budget=time_budget,
        store=store,
        memory=False,
        study=STUDY,
        quick=quick,
        progress=progress,
        seed=seed,
    )
    return OperatorReport(operator_findings(report.results), report)
