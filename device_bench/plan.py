"""What to measure: names and files become configurations, with an artifact or why there is none.

A configuration is one artifact on one runtime and compute unit. A model's name stands for one
artifact a runtime, exported through the cache; a file stands for itself, as its manifest tells.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lightmobile.device_bench.devices import Device
from lightmobile.device_bench.schema import Configuration, new_id
from lightmobile.device_bench.schema_artifact import facts_of
from lightmobile.errors import UsageError, VerificationError
from lightmobile.export.artifact import sha256_of
from lightmobile.export.manifest import Manifest, Tensor, read_manifest
from lightmobile.export.precision import PRECISIONS
from lightmobile.export.spec import TARGETS, ExportSpec
from lightmobile.plugins import suggest

__all__ = ["Clocks", "Planned", "Wishes", "check_precision", "plan"]

Clocks = Literal["as-shipped", "fixed"]

# Names have untrained weights here, of which eight bits keep little; that says nothing of their
# speed. Every weight of the file is still found on its grid.
_LEAST_SQNR_DB = 0.0


@dataclass(frozen=True)
class Wishes:
    """What the caller asks of every model; None leaves the choice to the target or device."""

    compute: str
    runtimes: tuple[str, ...] | None
    precision: str | None
    batch: int
    threads: tuple[int, ...]
    cores: tuple[str | None, ...] = (None,)
    clocks: Clocks = "as-shipped"
    untrained: bool = False


@dataclass(frozen=True)
class Planned:
    """A configuration and the file to run; None where the configuration says why it is skipped.

    Attributes
    ----------
    inputs
        As the manifest tells them.
    by_name
        Whether it was asked for by its model's name, not as a file.
    """

    configuration: Configuration
    artifact: Path | None = None
    inputs: tuple[Tensor, ...] = ()
    by_name: bool = False


def check_precision(precision: str | None) -> None:
    """Check that there is such a precision anywhere.

    Raises
    ------
    UsageError
        There is none.
    """
    if precision is not None and precision not in PRECISIONS:
        raise UsageError(
            f"There is no precision {precision!r}", fix=f"Use {suggest(precision, PRECISIONS)}"
        )


def plan(
    models: Sequence[str | os.PathLike[str]],
    device: Device,
    wishes: Wishes,
    folder: Path,
    progress: Callable[[str, str], None],
) -> list[Planned]:
    """Return what to measure, in the order asked; names are exported into `folder`.

    Raises
    ------
    UsageError
        A name, file or word is not known, or a file is damaged.
    """
    from lightmobile.export.crew import shared_exporters

    planned: list[Planned] = []
    with shared_exporters():
        for number, model in enumerate(models):
            if not isinstance(model, str) or _is_path(model):
                planned += _plan_file(Path(model), device, wishes)
            else:
                tell = _named(model, progress) if len(models) > 1 else progress
                planned += _plan_name(model, device, wishes, folder / str(number), tell)
    return planned


def _named(model: str, progress: Callable[[str, str], None]) -> Callable[[str, str], None]:
    """Say of which of several models a phase is."""
    return lambda target, phase: progress(target, f"{phase} ({model})")


def _is_path(model: str) -> bool:
    suffixes = {target.suffix for target in TARGETS.values()}
    return Path(model).suffix in suffixes or "/" in model or os.sep in model


def _plan_file(path: Path, device: Device, wishes: Wishes) -> list[Planned]:
    manifest = read_manifest(path)
    for noun, found, asked in (
        ("runtime", manifest.target, wishes.runtimes),
        ("precision", manifest.precision, wishes.precision and (wishes.precision,)),
        ("batch", manifest.batch, wishes.batch != 1 and (wishes.batch,)),
    ):
        if asked and found not in asked:
            raise UsageError(
                f"{path.name} has the {noun} {found}, and {asked[0]} is asked for",
                fix=f"Leave --{noun} out, or give the model's name",
            )
    if reason := device.why_not(manifest.target, wishes.compute):
        return [_skipped(manifest.model, manifest.target, wishes, reason)]
    sha256 = sha256_of(path)
    if sha256 != manifest.file_sha256:
        raise VerificationError(
            f"{path.name} is not the file that its manifest describes",
            why=f"Its SHA-256 is {sha256[:12]}…, the manifest's {manifest.file_sha256[:12]}…",
            fix="Export the model again",
        )
    if reason := device.why_not_artifact(manifest.target, manifest.versions):
        return [_skipped(manifest.model, manifest.target, wishes, reason)]
    return _planned(path, manifest, device, wishes, by_name=False)


def _plan_name(
    name: str,
    device: Device,
    wishes: Wishes,
    folder: Path,
    progress: Callable[[str, str], None],
) -> list[Planned]:
    from lightmobile.export import export
    from lightmobile.models import model_info

    model_info(name)  # a name that is none is told before anything is exported
    runtimes = wishes.runtimes or device.runtimes
    reasons = {each: _why_not_exported(each, device, wishes) for each in runtimes}
    able = tuple(runtime for runtime in runtimes if reasons[runtime] is None)
    artifacts = {}
    if able:
        made = export(
            name,
            targets=able,
            precision=wishes.precision,
            batch=wishes.batch,
            untrained=wishes.untrained,
            min_sqnr=_LEAST_SQNR_DB if _is_quantized(wishes.precision) else None,
            output_dir=folder,
            progress=progress,
        )
        artifacts = {artifact.target: artifact.path for artifact in made}
    planned: list[Planned] = []
    for each, reason in reasons.items():
        if reason is None:
            path = artifacts[each]
            manifest = read_manifest(path)
            reason = device.why_not_artifact(manifest.target, manifest.versions)
        if reason is None:
            planned += _planned(path, manifest, device, wishes, by_name=True)
        else:
            planned.append(_skipped(name, each, wishes, reason))
    return planned


def _is_quantized(precision: str | None) -> bool:
    return precision is not None and precision in PRECISIONS and PRECISIONS[precision].quantized


def _why_not_exported(runtime: str, device: Device, wishes: Wishes) -> str | None:
    """Return why `runtime` is left out; words that are wrong for every runtime are an error."""
    if reason := device.why_not(runtime, wishes.compute):
        return reason
    try:
        ExportSpec(runtime, precision=wishes.precision or "", batch=wishes.batch)
    except UsageError as error:
        if wishes.runtimes is not None:
            raise
        return str(error)
    return None


def _planned(
    path: Path, manifest: Manifest, device: Device, wishes: Wishes, *, by_name: bool
) -> list[Planned]:
    """Return a configuration for each number of threads and kind of cores."""
    # Core ML takes no number of threads.
    threads = (None,) if manifest.target == "coreml" else wishes.threads
    facts = facts_of(manifest)
    return [
        Planned(
            Configuration(
                result=new_id(),
                model=manifest.model,
                artifact=path.name,
                artifact_sha256=manifest.file_sha256,
                facts=facts,
                runtime=manifest.target,
                compute=wishes.compute,
                backend=manifest.backend,
                precision=manifest.precision,
                batch=manifest.batch,
                threads=number,
                cores=cores,
                clocks=wishes.clocks,
                emulated=device.emulated,
            ),
            path.absolute(),
            manifest.inputs,
            by_name,
        )
        for number in threads
        for cores in wishes.cores
    ]


def _skipped(model: str, runtime: str, wishes: Wishes, reason: str) -> Planned:
    return Planned(
        Configuration(
            result=new_id(),
            model=model,
            runtime=runtime,
            compute=wishes.compute,
            precision=wishes.precision or "",
            batch=wishes.batch,
            skipped=reason,
        )
    )
