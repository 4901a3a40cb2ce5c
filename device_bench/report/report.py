"""A report as plain data: what every format is written from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from pydantic import BaseModel

from lightmobile.device_bench.findings import Findings
from lightmobile.device_bench.report.choice import Choice
from lightmobile.device_bench.results import Result
from lightmobile.device_bench.schema import ArtifactFacts, Configuration, Session

__all__ = ["DeviceCard", "Entry", "Report", "Skipped", "Source"]


@dataclass(frozen=True)
class Source:
    """The store that a report was made from; its name tells no folder."""

    name: str
    lines: int
    sha256: str


@dataclass(frozen=True)
class DeviceCard:
    """A device, under a name that no other device of the report has.

    Attributes
    ----------
    facts
        Of the latest session: what it is, as titles and words.
    sessions
        In the order started.
    """

    name: str
    title: str
    facts: tuple[tuple[str, str], ...]
    sessions: tuple[Session, ...]
    emulated: bool = False
    hot: tuple[str, ...] = ()


@dataclass(frozen=True)
class Entry:
    """A result in its place of the report.

    Attributes
    ----------
    number
        Its place among all results of the report.
    short
        As much of its id as tells it from the others.
    top1
        Published accuracy in percent, or why there is none for this result.
    classes
        Of the task that the accuracy is of; None without one.
    latest
        Whether no later session measured the same configuration on the same device.
    """

    number: int
    result: Result
    device: str
    short: str
    top1: float | str
    classes: int | None
    latest: bool

    @property
    def run(self) -> Configuration:
        """What was measured."""
        return self.result.configuration

    @property
    def facts(self) -> ArtifactFacts | None:
        """What the artifact's manifest says."""
        return self.run.facts

    @property
    def id(self) -> str:
        """The whole id."""
        return self.result.id

    @cached_property
    def median_ms(self) -> float:
        """Median latency; the mean one where another program told no more."""
        told = self.result.summary
        if told:
            return (told.median_ns or told.mean_ns) / 1e6
        return self.result.latency.median / 1e6

    @property
    def interval_ms(self) -> tuple[float | None, float | None]:
        """The 95 % interval of the median."""
        if self.result.summary:
            return None, None
        found = self.result.latency.ci95
        if found.low is None or found.high is None:
            return None, None
        return found.low / 1e6, found.high / 1e6

    def to_dict(self) -> dict[str, Any]:
        """Return the form of ``results --json`` without the samples, and what the report adds."""
        document = self.result.to_dict()
        del document["samples_ns"]
        return document | {
            "report_device": self.device,
            "started": self.result.session.started.isoformat(),
            "study": self.result.session.study,
            "samples": len(self.result.samples_ns),
            "processes": len({part.process for part in self.result.slices}),
            "stopped": self.result.stopped,
            "latest": self.latest,
            "published_top1": self.top1 if isinstance(self.top1, float) else None,
            "no_published_top1": None if isinstance(self.top1, float) else self.top1,
            "facts": _known(self.facts),
        }


@dataclass(frozen=True)
class Skipped:
    """What was asked for and has no result, or not all of it; and why."""

    device: str
    session: str
    result: str
    model: str
    runtime: str
    precision: str
    stage: str
    why: str


@dataclass(frozen=True)
class Report:
    """All that a store says, in the order shown.

    Attributes
    ----------
    entries
        Results of models on devices, the fastest first.
    emulated
        Results whose times say nothing of a device.
    operators
        Results of single operators: studies read them.
    findings
        Of the latest session of each study and device.
    earlier
        Sessions of studies that a later one replaces.
    notes
        What could not be shown, and why.
    """

    made: datetime
    lightmobile: str
    source: Source
    choice: Choice
    devices: tuple[DeviceCard, ...]
    entries: tuple[Entry, ...]
    emulated: tuple[Entry, ...] = ()
    operators: tuple[Entry, ...] = ()
    findings: tuple[Findings, ...] = ()
    earlier: tuple[Session, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()

    @cached_property
    def everything(self) -> tuple[Entry, ...]:
        """Every result, in the order of its number."""
        every = (*self.entries, *self.emulated, *self.operators)
        return tuple(sorted(every, key=lambda entry: entry.number))

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The number of each result by its id."""
        return {entry.id: entry.number for entry in self.everything}

    def to_dict(self) -> dict[str, Any]:
        """Return what ``--format json`` prints."""
        from dataclasses import asdict

        return {
            "report": 1,
            "made": self.made.isoformat(),
            "lightmobile": self.lightmobile,
            "store": asdict(self.source),
            "filters": {name: list(words) for name, words in asdict(self.choice).items()},
            "devices": [_card(card) for card in self.devices],
            "results": [entry.to_dict() for entry in self.entries],
            "emulated": [entry.to_dict() for entry in self.emulated],
            "operators": [entry.to_dict() for entry in self.operators],
            "findings": [found.to_dict() for found in self.findings],
            "earlier_studies": [_session(session) for session in self.earlier],
            "skipped": [asdict(skipped) for skipped in self.skipped],
            "notes": list(self.notes),
        }


def _card(card: DeviceCard) -> dict[str, Any]:
    return {
        "name": card.name,
        "emulated": card.emulated,
        "identity": _known(card.sessions[-1].device) | {"name": None},
        "sessions": [_session(session) for session in card.sessions],
        "hot_sessions": list(card.hot),
    }


def _session(session: Session) -> dict[str, Any]:
    return {
        "id": session.id,
        "started": session.started.isoformat(),
        "lightmobile": session.lightmobile,
        "study": session.study,
        "quick": session.quick,
        "condition": _known(session.condition),
    }


def _known(value: Any) -> Any:
    """Return a part of a line as JSON, without the keys that this version does not know."""
    if isinstance(value, BaseModel):
        return {name: _known(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, dict):
        return {key: _known(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_known(item) for item in value]
    return value
