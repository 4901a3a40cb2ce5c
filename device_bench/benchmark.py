"""Measure models on a device: plan, measure, report."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import lightmobile
from lightmobile.device_bench.devices import Device, open_device
from lightmobile.device_bench.measure import Measurement
from lightmobile.device_bench.passes import Passes
from lightmobile.device_bench.plan import Clocks, Planned, Wishes, check_precision, plan
from lightmobile.device_bench.results import Result, results_of
from lightmobile.device_bench.schedule import Schedule
from lightmobile.device_bench.schema import Session, new_id, now
from lightmobile.device_bench.store import Store
from lightmobile.device_bench.workbench import Workbench
from lightmobile.errors import DeviceError, UsageError, VerificationError

__all__ = ["BenchReport", "Skipped", "bench"]

DEFAULT_MODEL = "fasternet_t0"
# Processes that live side by side: ExecuTorch's for Python take some 300 MB each.
MOST_LIVE = 12


@dataclass(frozen=True)
class Skipped:
    """A configuration that was asked for and not measured."""

    model: str
    runtime: str
    compute: str
    reason: str

    def to_dict(self) -> dict[str, str]:
        """Return what ``lightmobile bench --json`` prints of it."""
        return dict(vars(self))


@dataclass(frozen=True)
class BenchReport:
    """What one call of :func:`bench` measured and what it could not, each in the order asked."""

    results: tuple[Result, ...]
    skipped: tuple[Skipped, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return what ``lightmobile bench --json`` prints."""
        return {
            "results": [result.to_dict() for result in self.results],
            "skipped": [skipped.to_dict() for skipped in self.skipped],
        }

    def check_numerics(self) -> None:
        """Check that every output that was compared is what it should be.

        Raises
        ------
        VerificationError
            One is not; the results are as they are.
        """
        wrong = [
            f"{result.configuration.model} on {result.configuration.runtime}: relative L2 "
            f"{each.rel_l2:.2g} against {each.against}"
            + ("" if each.steps is None else f", {each.steps:.1f} steps")
            for result in self.results
            for each in result.numerics
            if not each.passed
        ]
        if wrong:
            raise VerificationError(
                "The device does not compute what it should",
                why="; ".join(wrong),
                fix="Report it with the file and the device's identity; its latency means nothing",
            )


def bench(
    models: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = DEFAULT_MODEL,
    *,
    device: str | Device = "host",
    compute: str = "cpu",
    runtimes: Sequence[str] | None = None,
    precision: str | Sequence[str] | None = None,
    batch: int | Sequence[int] = 1,
    threads: int | Sequence[int] = 1,
    cores: str | Sequence[str | None] | None = None,
    clocks: Clocks = "as-shipped",
    untrained: bool = False,
    rounds: int | None = None,
    time_budget: float = 60.0,
    store: Store | str | os.PathLike[str] | None = None,
    memory: bool = True,
    profile: bool | Collection[str] = False,
    numerics: bool = False,
    sustained_minutes: int | None = None,
    litert_benchmark: str | os.PathLike[str] | None = None,
    study: str = "",
    quick: bool = False,
    progress: Callable[[str, str], None] | None = None,
    seed: int = 0,
) -> BenchReport:
    """Measure the latency and memory of models on a device.

    Up to a dozen configurations live side by side in processes of their own, through several
    rounds; more are measured in sweeps, see `lightmobile.device_bench.schedule`.

    Parameters
    ----------
    models
        Names, which are exported through the cache, and artifacts, whose manifests lie beside
        them. The same one twice gives two results, which should be equal.
    device
        ``host``, ``android`` for the only phone, ``android:SERIAL``, or what a plug-in adds.
    compute
        ``cpu``, ``gpu`` or ``npu``.
    runtimes
        ``executorch``, ``tflite``, ``coreml``; every one that the device knows where None.
    precision
        The target's default where None; several are compared.
    batch
        Images per inference; several are compared.
    threads
        Of a runner. One is what papers report, and what machines with other numbers of cores share.
        Several are compared.
    cores
        Kind of cores that a runner may use: ``big``, ``mid``, ``little`` or ``all``; the system
        chooses where None. Several are compared.
    clocks
        ``fixed`` holds a phone's clocks at a level that it can sustain (Android 11 on).
    untrained
        Make weights for a ``package.module:function`` whose own make no difference between images.
    rounds
        Measure exactly so many rounds, instead of by time.
    time_budget
        Seconds for the latencies of all configurations together, in which their processes are
        started anew at least three times. Measuring stops sooner where every median is known to
        1 %. Memory and operators are passes of their own and come on top.
    store
        Where every line is kept; the user's own store where None.
    memory
        Measure the memory too, in processes of its own.
    profile
        Time every operator too, where the runtime can tell; of all models, or of those named.
    numerics
        Compare the outputs, too, with PyTorch's and with those of the host's runtime.
    sustained_minutes
        Run each configuration so long without a break, too, and keep every minute.
    litert_benchmark
        LiteRT's official ``benchmark_model`` for Android, which measures instead of our runners,
        also on the GPU. It keeps no samples, and has none of the passes above.
    study, quick
        The experiment that is measured, and whether in its small size; the session's line says so.
    progress
        Called with a task (``latency``, ``memory``, ``operators``, ``numerics``, ``sustained``,
        ``cooling``, or a target that is exported) and how it stands.
    seed
        Of the inputs and of the order within rounds.

    Raises
    ------
    UsageError
        A word, number or file is not usable.
    DeviceError
        Nothing ran.
    KeyboardInterrupt
        After Ctrl-C, with the store whole and no process left.
    """
    where = open_device(device) if isinstance(device, str) else device
    if litert_benchmark is not None:
        if profile or numerics or sustained_minutes:
            raise UsageError(
                "benchmark_model has no such passes",
                fix="Leave --profile, --numerics and --sustained out",
            )
        where.use_benchmark_model(Path(litert_benchmark))
    schedule = Schedule(rounds=rounds, budget_s=time_budget, seed=seed)
    kinds = [cores] if isinstance(cores, str | None) else cores
    numbers = [threads] if isinstance(threads, int) else threads
    precisions = [precision] if isinstance(precision, str | None) else dict.fromkeys(precision)
    for each in precisions:
        check_precision(each)
    batches = [batch] if isinstance(batch, int) else dict.fromkeys(batch)
    wishes = Wishes(
        compute=compute,
        runtimes=None if runtimes is None else tuple(runtimes),
        precision=None,
        batch=1,
        threads=tuple(where.check_threads(number) for number in dict.fromkeys(numbers)),
        cores=tuple(dict.fromkeys(kinds)),
        clocks=clocks,
        untrained=untrained,
    )
    for kind in wishes.cores:
        where.cores_of(kind)  # a kind that is not there is told before anything is exported
    lines = store if isinstance(store, Store) else Store(store)
    tell = progress or (lambda _task, _phase: None)
    asked = [models] if isinstance(models, str | os.PathLike) else models or [DEFAULT_MODEL]
    passes = Passes(
        memory=memory,
        profile=profile if isinstance(profile, bool) else frozenset(profile),
        numerics=numerics,
        sustained_minutes=sustained_minutes,
    )
    with tempfile.TemporaryDirectory(prefix="lightmobile-") as folder:
        planned: list[Planned] = []
        for wanted, size in product(precisions, batches):
            files = Path(folder) / f"{wanted}-{size}"
            wished = replace(wishes, precision=wanted, batch=size)
            planned += plan(asked, where, wished, files, tell)
        way = None if litert_benchmark else (schedule, passes)
        return _measure(planned, where, lines, way, Path(folder), tell, seed, (study, quick))


def _measure(
    planned: Sequence[Planned],
    device: Device,
    store: Store,
    way: tuple[Schedule, Passes] | None,
    folder: Path,
    progress: Callable[[str, str], None],
    seed: int,
    purpose: tuple[str, bool],
) -> BenchReport:
    """Measure `planned` by our runners in a `way`, or by LiteRT's own program."""
    runnable = [each for each in planned if each.artifact is not None]
    reasons = {each.configuration.result: each.configuration.skipped or "" for each in planned}
    results: list[Result] = []
    if way and len(runnable) > MOST_LIVE:
        way[0].rounds_per_block = 1
    if runnable:
        with device:
            if any(each.configuration.clocks == "fixed" for each in runnable):
                device.fix_clocks()
            session = Session(
                id=new_id(),
                started=now(),
                lightmobile=lightmobile.__version__,
                study=purpose[0],
                quick=purpose[1],
                device=device.identity(),
                condition=device.condition(),
                plan=tuple(each.configuration for each in planned),
            )
            store.append(session)
            measurement = Measurement(
                Workbench(runnable, device, store, session.id, folder, seed=seed, progress=progress)
            )
            lines = measurement.run(*way) if way else measurement.run_benchmark_model()
            found = results_of([session, *lines])
        failures = measurement.failures()
        reasons |= {result: f"{each.stage}: {each.error}" for result, each in failures.items()}
        results = [result for result in found if not reasons[result.id]]
    skipped = tuple(
        Skipped(
            each.configuration.model, each.configuration.runtime, each.configuration.compute, why
        )
        for each in planned
        if (why := reasons[each.configuration.result])
    )
    if not results:
        raise DeviceError(
            "Nothing was measured",
            why="; ".join(f"{each.model} on {each.runtime}: {each.reason}" for each in skipped),
            fix="`lightmobile doctor` tells what this device can run",
        )
    return BenchReport(tuple(results), skipped)
