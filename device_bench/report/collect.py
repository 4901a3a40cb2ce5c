"""From the lines of a store to a report."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from lightmobile import __version__
from lightmobile.device_bench.findings import Findings
from lightmobile.device_bench.report.accuracy import published_top1
from lightmobile.device_bench.report.choice import Choice
from lightmobile.device_bench.report.devices import cards, device_key
from lightmobile.device_bench.report.report import DeviceCard, Entry, Report, Skipped, Source
from lightmobile.device_bench.results import Result, results_of
from lightmobile.device_bench.schema import Failure, Line, Session, now
from lightmobile.device_bench.store import Store
from lightmobile.device_bench.studies.registry import findings_of as registered
from lightmobile.errors import LightmobileError, UsageError

__all__ = ["OPERATOR", "collect"]

OPERATOR = "op:"
_SHORTEST = 7

FindingsOf = Callable[[Sequence[Result]], Findings | None]
Key = tuple[Any, ...]


def collect(
    store: Store, choice: Choice | None = None, *, findings_of: FindingsOf | None = None
) -> Report:
    """Derive the report of a store.

    Parameters
    ----------
    choice
        The results that it is about; all where None.
    findings_of
        Derives what a session of a study found; the registered studies where None.

    Raises
    ------
    UsageError
        The store cannot be read, holds no result, or none that was asked for.
    """
    choice = choice or Choice()
    lines = store.read()
    found = results_of(lines)
    if not found:
        raise UsageError(
            f"The store {store.path} holds no results", fix="Run `lightmobile bench` first"
        )
    kept = choice.of(found)
    devices = cards(kept)
    entries = _entries(kept, devices)
    findings, earlier, notes = _findings(found, kept, devices, findings_of or registered)
    real = [entry for entry in entries if not _is_emulated(entry.result)]
    return Report(
        made=now(),
        lightmobile=__version__,
        source=Source(store.path.name, len(lines), _sha256(store)),
        choice=choice,
        devices=tuple(devices.values()),
        entries=tuple(_ranked((entry for entry in real if not _is_operator(entry)), devices)),
        emulated=tuple(entry for entry in entries if _is_emulated(entry.result)),
        operators=tuple(entry for entry in real if _is_operator(entry)),
        findings=findings,
        earlier=earlier,
        skipped=tuple(_skipped(lines, kept, devices)),
        notes=notes,
    )


def _ranked(entries: Iterable[Entry], devices: dict[Key, DeviceCard]) -> list[Entry]:
    places = {card.name: place for place, card in enumerate(devices.values())}
    return sorted(entries, key=lambda entry: (places[entry.device], entry.median_ms))


def _is_operator(entry: Entry) -> bool:
    return entry.run.model.startswith(OPERATOR)


def _is_emulated(result: Result) -> bool:
    return result.configuration.emulated or result.session.device.emulated


def _sha256(store: Store) -> str:
    with store.path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _entries(results: Sequence[Result], devices: dict[Key, DeviceCard]) -> list[Entry]:
    length = _telling([result.id for result in results])
    latest: dict[Key, Result] = {}
    for result in sorted(results, key=lambda result: result.session.started):
        latest[_same(result)] = result
    entries = []
    for number, result in enumerate(results):
        top1, classes = published_top1(result)
        entries.append(
            Entry(
                number=number,
                result=result,
                device=devices[device_key(result.session.device)].name,
                short=result.id[:length],
                top1=top1,
                classes=classes,
                latest=latest[_same(result)] is result,
            )
        )
    return entries


def _same(result: Result) -> Key:
    """Return what two results share that measured the same thing."""
    run = result.configuration
    unit = (run.runtime, run.compute, run.backend, run.threads, run.cores, run.clocks)
    program = result.summary.program if result.summary else None
    what = (run.model, run.artifact, run.precision, run.batch, program)
    return (device_key(result.session.device), *unit, *what)


def _telling(ids: Sequence[str]) -> int:
    """Return how many characters tell all of `ids` apart."""
    length = _SHORTEST
    while len({each[:length] for each in ids}) < len(set(ids)):
        length += 1
    return length


def _findings(
    found: Sequence[Result],
    kept: Sequence[Result],
    devices: dict[Key, DeviceCard],
    findings_of: FindingsOf,
) -> tuple[tuple[Findings, ...], tuple[Session, ...], tuple[str, ...]]:
    """Return what the latest session of each study and device found, and the earlier sessions."""
    chosen = {result.id for result in kept}
    groups = _by_session(found, {result.session.id for result in kept if result.session.study})
    latest = {
        (group[0].session.study, device_key(group[0].session.device)): group for group in groups
    }
    shown, notes = [], []
    for (study, key), group in sorted(latest.items(), key=lambda item: str(item[0])):
        where = f"{study} on {devices[key].name}"
        if _is_emulated(group[0]):
            notes.append(f"{where} was emulated: it finds nothing of a device.")
        elif any(result.id not in chosen for result in group):
            notes.append(f"{where} is not shown: the filter leaves part of its results out.")
        else:
            try:
                found_here = findings_of(group)
            except (LightmobileError, ImportError) as error:
                notes.append(f"{where} cannot be shown: {error}")
                continue
            if found_here:
                shown.append(found_here)
            else:
                notes.append(f"{where} is a study that this version does not know.")
    newest = {group[0].session.id for group in latest.values()}
    earlier = [group[0].session for group in groups if group[0].session.id not in newest]
    return tuple(shown), tuple(earlier), tuple(notes)


def _by_session(results: Sequence[Result], sessions: set[str]) -> list[list[Result]]:
    """Return the results of each of `sessions`, in the order started."""
    groups: defaultdict[str, list[Result]] = defaultdict(list)
    for result in results:
        if result.session.id in sessions:
            groups[result.session.id].append(result)
    return sorted(groups.values(), key=lambda group: group[0].session.started)


def _skipped(
    lines: Sequence[Line], results: Sequence[Result], devices: dict[Key, DeviceCard]
) -> list[Skipped]:
    """Return what was planned and not run, and what failed, in the sessions of `results`."""
    sessions = {result.session.id: result.session for result in results}
    failures = {line.key: line for line in lines if isinstance(line, Failure)}
    by_result: defaultdict[tuple[str, str], list[Failure]] = defaultdict(list)
    for failure in failures.values():
        by_result[failure.session, failure.result].append(failure)
    found = []
    for session in sessions.values():
        device = devices[device_key(session.device)].name
        for run in session.plan:
            reasons = [("skipped", run.skipped)] if run.skipped else []
            reasons += [(each.stage, each.error) for each in by_result[session.id, run.result]]
            found += [
                Skipped(
                    device, session.id, run.result, run.model, run.runtime, run.precision, *reason
                )
                for reason in reasons
            ]
    return found
