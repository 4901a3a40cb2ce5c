"""Run a study: measure what it needs on a device, then read the results."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from lightmobile.device_bench.benchmark import BenchReport, bench
from lightmobile.device_bench.devices import Device, open_device
from lightmobile.device_bench.findings import Findings
from lightmobile.device_bench.results import results
from lightmobile.device_bench.store import Store
from lightmobile.device_bench.studies.registry import study
from lightmobile.device_bench.studies.study import CheckpointStudy, Weights, findings
from lightmobile.errors import DelegationError, InternalError, UsageError, VerificationError
from lightmobile.export.spec import TARGETS

__all__ = ["DEFAULT_MODEL", "measure", "run_study"]

DEFAULT_MODEL = "resnet50"
_EXPORT_ERRORS = (DelegationError, InternalError, VerificationError)
_QUICK_ROUNDS = 2
_SECONDS_A_NETWORK = 6.0
_LEAST_SECONDS = 60.0


def run_study(
    name: str,
    *,
    device: str | Device = "host",
    quick: bool = False,
    runtimes: Sequence[str] | None = None,
    threads: int = 1,
    rounds: int | None = None,
    time_budget: float | None = None,
    store: Store | str | os.PathLike[str] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    model: str = DEFAULT_MODEL,
    images: str | os.PathLike[str] | None = None,
    progress: Callable[[str, str], None] | None = None,
) -> Findings:
    """Run the study called `name`.

    Parameters
    ----------
    device, store, progress
        Of `bench`.
    quick
        Tiny networks and two rounds in one runtime: whether it works, not what is true.
    runtimes
        Every one that the device has where None; with `quick`, the first that can run.
    threads
        Of the runners.
    rounds, time_budget
        Of `bench`; where None, a study takes six seconds for each of its networks, and a minute at
        least.
    checkpoint, model, images
        Trained weights, whose they are, and a folder of images, for the studies that measure no
        latency.

    Raises
    ------
    UsageError
        There is no such study, or it lacks what it needs, or is given what it has no use for.
    DeviceError
        Nothing ran.
    """
    asked = study(name)
    if isinstance(asked, CheckpointStudy):
        return _run_on_weights(asked, checkpoint, model, images, quick)
    if checkpoint is not None or images is not None:
        raise UsageError(
            f"{name} measures latencies, and takes neither a checkpoint nor images",
            fix="Leave --checkpoint and --images out",
        )
    where = open_device(device) if isinstance(device, str) else device
    lines = store if isinstance(store, Store) else Store(store)
    models = asked.models(quick)
    chosen = _first_able(where) if quick and runtimes is None else runtimes
    run = partial(
        bench,
        study=asked.name,
        quick=quick,
        memory=asked.memory and not quick,  # a process for each network
        device=where,
        runtimes=chosen,
        threads=threads,
        rounds=_QUICK_ROUNDS if quick and rounds is None and time_budget is None else rounds,
        time_budget=time_budget or max(_LEAST_SECONDS, _SECONDS_A_NETWORK * len(models)),
        store=lines,
        progress=progress,
    )
    able = [each for each in chosen or where.runtimes if where.why_not(each, "cpu") is None]
    report, broken = measure(run, models, able)
    session = report.results[0].session.id
    reasons = {(each.model, each.runtime): each.reason for each in report.skipped} | broken
    return findings(asked, results(lines, session=session), reasons)


def measure(
    run: Callable[[Sequence[str]], BenchReport], models: Sequence[str], runtimes: Sequence[str]
) -> tuple[BenchReport, dict[tuple[str, str], str]]:
    """Measure the models; where a file of one cannot be made or proved, all the others.

    Returns
    -------
    What was measured, and why a model was not, by its name and runtime.
    """
    try:
        return run(models), {}
    except _EXPORT_ERRORS:
        broken = _broken(models, runtimes)
        rest = [model for model in models if model not in broken]
        if not broken or not rest:
            raise
    why = {(model, runtime): text for model, text in broken.items() for runtime in runtimes}
    return run(rest), why


def _broken(models: Sequence[str], runtimes: Sequence[str]) -> dict[str, str]:
    """Return the models that cannot be exported, with the reason; the others stay in the cache."""
    from lightmobile.export import export
    from lightmobile.export.crew import shared_exporters

    broken = {}
    targets = [runtime for runtime in runtimes if runtime in TARGETS]  # others are not files
    with tempfile.TemporaryDirectory(prefix="lightmobile-") as folder, shared_exporters():
        for number, model in enumerate(models):
            try:
                export(model, targets=targets, output_dir=Path(folder) / str(number))
            except _EXPORT_ERRORS as error:
                broken[model] = str(error)
    return broken


def _first_able(device: Device) -> tuple[str, ...] | None:
    """Return the first runtime that runs on the device's CPU; None where none does."""
    able = (runtime for runtime in device.runtimes if device.why_not(runtime, "cpu") is None)
    first = next(able, None)
    return None if first is None else (first,)


def _run_on_weights(
    asked: CheckpointStudy,
    checkpoint: str | os.PathLike[str] | None,
    model: str,
    images: str | os.PathLike[str] | None,
    quick: bool,
) -> Findings:
    if checkpoint is None:
        raise UsageError(
            f"{asked.name} needs trained weights",
            why="Random ones would answer with what they were drawn from",
            fix="Give --checkpoint FILE",
        )
    if asked.takes_images and images is None:
        raise UsageError(
            f"{asked.name} needs images", fix="Give --images DIR, of photographs as in training"
        )
    if not asked.takes_images and images is not None:
        raise UsageError(f"{asked.name} takes no images", fix="Leave --images out")
    folder = None if images is None else Path(images)
    return asked.run(Weights(Path(checkpoint), model, folder, quick))
