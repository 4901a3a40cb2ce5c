"""What a study is: a question, the networks that answer it, and how their results are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from lightmobile.device_bench.findings import Chart, Claim, Findings, Row, Table
from lightmobile.device_bench.results import Result
from lightmobile.device_bench.studies.measured import Measured, group, is_usable
from lightmobile.device_bench.studies.tables import COUNTS, counts

__all__ = ["QUICK", "AnyStudy", "CheckpointStudy", "Part", "Study", "Weights", "findings"]

QUICK = (
    "Quick size: tiny networks and few rounds prove that the machinery works. What it says is said "
    "of these networks, not of the papers'."
)


@dataclass(frozen=True)
class Part:
    """What a study reads out of one setting's results."""

    tables: tuple[Table, ...] = ()
    charts: tuple[Chart, ...] = ()
    claims: tuple[Claim, ...] = ()
    summary: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Study:
    """A study that measures latencies.

    Attributes
    ----------
    name, question
        ``pconv-vs-dwconv``, and what it asks.
    paper
        What is tested, and who says it.
    full, small
        The networks' names by the part that each plays, in full size and for ``--quick``. Both have
        parts of the same kind, so that one analysis reads both.
    analyse
        Reads one setting's results; where a part is missing it goes on without it.
    notes
        What the reader must know whatever is measured.
    memory
        Whether the peak memory is measured too, which takes a process for each network.
    """

    name: str
    question: str
    paper: str
    full: Mapping[str, str]
    small: Mapping[str, str]
    analyse: Callable[[Measured], Part]
    notes: tuple[str, ...] = ()
    memory: bool = False

    def parts(self, quick: bool = False) -> Mapping[str, str]:
        """Return the model of each part."""
        return self.small if quick else self.full

    def models(self, quick: bool = False) -> tuple[str, ...]:
        """Return the models to measure; two parts can be played by one."""
        return tuple(dict.fromkeys(self.parts(quick).values()))


@dataclass(frozen=True)
class Weights:
    """What a study of trained weights is given.

    Attributes
    ----------
    checkpoint
        File of the weights.
    model
        Whose they are.
    images
        Folder of photographs, where the study takes one.
    quick
        Whether a part of it all is enough.
    """

    checkpoint: Path
    model: str
    images: Path | None = None
    quick: bool = False


@dataclass(frozen=True)
class CheckpointStudy:
    """A study of trained weights: it measures no latency, and no store keeps it.

    Attributes
    ----------
    run
        Answers from the weights.
    takes_images
        Whether it needs images, and the model that runs them.
    """

    name: str
    question: str
    paper: str
    run: Callable[[Weights], Findings]
    takes_images: bool = False


AnyStudy: TypeAlias = Study | CheckpointStudy


def findings(
    study: Study, results: Sequence[Result], reasons: Mapping[tuple[str, str], str] | None = None
) -> Findings:
    """Derive what `study` found from the results of its session.

    Parameters
    ----------
    results
        All of one session, at least one.
    reasons
        Why a model is missing, by its name and runtime, where the results do not tell.
    """
    session = results[0].session
    settings = group(results, study.parts(session.quick))
    emulated = any(result.configuration.emulated for result in results)
    parts = [_read(study, each, emulated, len(settings) > 1) for each in settings]
    notes = [QUICK] if session.quick else []
    if emulated:
        notes.append("EMULATED: the times say nothing of a device, so none is given.")
    if any(result.is_hot for result in results):
        notes.append("The device was HOT: it throttled, or had not cooled down in time.")
    notes += [note for each in settings for note in _missing(each, reasons or {})]
    if odd := [result for result in results if not is_usable(result)]:
        notes.append(
            "Left out, for they failed or have no samples of their own: "
            + ", ".join(
                f"{each.configuration.model} on {each.configuration.runtime}" for each in odd
            )
        )
    return Findings(
        study=study.name,
        question=study.question,
        session=session.id,
        device=session.device.label,
        tables=tuple(table for part in parts for table in part.tables),
        charts=tuple(chart for part in parts for chart in part.charts),
        claims=tuple(claim for part in parts for claim in part.claims),
        summary=tuple(sentence for part in parts for sentence in part.summary),
        notes=tuple(dict.fromkeys((*notes, *study.notes, *(n for p in parts for n in p.notes)))),
        quick=session.quick,
        emulated=emulated,
    )


def _read(study: Study, measured: Measured, emulated: bool, several: bool) -> Part:
    """Return what one setting says; of an emulator's, what the networks cost and no more."""
    if emulated:
        rows = tuple(
            Row({"network": measured.names[part], **counts(measured.cost(part))}, (result.id,))
            for part, result in measured.found.items()
        )
        return Part((Table(f"What they cost: {measured.setting}", COUNTS, rows),))
    part = study.analyse(measured)
    return _labelled(part, str(measured.setting)) if several else part


def _labelled(part: Part, setting: str) -> Part:
    """Say of everything in which setting it was measured."""
    return Part(
        tuple(replace(table, title=f"{table.title}: {setting}") for table in part.tables),
        tuple(replace(chart, title=f"{chart.title}: {setting}") for chart in part.charts),
        tuple(replace(claim, here=f"{setting}: {claim.here}") for claim in part.claims),
        tuple(f"{setting}: {sentence}" for sentence in part.summary),
        part.notes,
    )


def _missing(measured: Measured, reasons: Mapping[tuple[str, str], str]) -> list[str]:
    runtime = measured.setting.runtime
    skipped = {
        run.model: run.skipped
        for run in measured.session.plan
        if run.runtime == runtime and run.skipped
    }
    return [
        f"Not measured on {runtime}: {name}"
        + (f" ({why})" if (why := skipped.get(name) or reasons.get((name, runtime))) else "")
        for name in measured.missing()
    ]
