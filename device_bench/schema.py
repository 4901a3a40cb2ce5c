"""The lines of a result store: one JSON object a line, ``schema: 1``, told apart by ``kind``.

A *session* is one call of ``bench`` on one device; it plans *configurations*. Each configuration
that ran owns a *result*, which is never written down: it is derived from the lines that carry its
id, so that a killed run loses at most the slice under way. Times are whole nanoseconds, sizes
whole bytes.

A store may come from a stranger. Numbers are bounded, text is made printable, and a key that this
version does not know is kept as it is and shown to no one.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    AwareDatetime,
    BaseModel,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    ValidationError,
)

from lightmobile.device_bench.schema_artifact import ArtifactFacts, Cost
from lightmobile.device_bench.schema_device import (
    Cluster,
    Condition,
    ContainerLimits,
    Cooling,
    DeviceIdentity,
    Sensor,
)
from lightmobile.device_bench.schema_fields import (
    Bytes,
    Count,
    Figure,
    FileName,
    Id,
    Name,
    Nanoseconds,
    Part,
    Positive,
    Sha256,
    Text,
)
from lightmobile.errors import UsageError

__all__ = [
    "ArtifactFacts",
    "Cluster",
    "Condition",
    "Configuration",
    "ContainerLimits",
    "Cooling",
    "Cost",
    "DeviceIdentity",
    "End",
    "Failure",
    "Line",
    "Memory",
    "Minute",
    "Numerics",
    "OtherLine",
    "Process",
    "Profile",
    "ProfileRow",
    "Reading",
    "Sensor",
    "Session",
    "Slice",
    "Summary",
    "json_schema",
    "new_id",
    "now",
    "parse_line",
]

SCHEMA = 1


class Configuration(Part):
    """One artifact on one runtime and compute unit: what a result is a result of."""

    result: Id
    model: Name
    artifact: FileName | None = Field(default=None, description="None where nothing could be made")
    artifact_sha256: Sha256 | None = None
    facts: ArtifactFacts | None = Field(default=None, description="of the artifact's manifest")
    runtime: Name
    compute: Name = "cpu"
    backend: Name = ""
    precision: Name = ""
    batch: Positive = 1
    threads: Positive | None = Field(
        default=None, description="asked for; None: the runtime's choice"
    )
    cores: Name | None = Field(
        default=None, description="kind of cores asked for: big, mid, little; None: the system's"
    )
    clocks: Literal["as-shipped", "fixed"] = Field(
        default="as-shipped", description="fixed: held at a level that the device can sustain"
    )
    emulated: bool = Field(default=False, strict=True, description="by an emulator: never compared")
    skipped: Text | None = Field(default=None, description="why it was not run")


class ProfileRow(Part):
    """One operator of the graph, timed over the runs of the profiling pass."""

    name: Name
    samples_ns: tuple[Count, ...] = Field(description="one a run; 0: below the clock's step")
    delegate: Name | None = Field(
        default=None, description="who ran it, where not the runtime itself"
    )


class _Line(Part):
    schema_: Literal[1] = Field(default=1, alias="schema")

    @property
    def key(self) -> tuple[object, ...]:
        """What makes this line the same as another one: it counts once, however often stored."""
        raise NotImplementedError

    def to_json(self) -> str:
        """Return the line as stored, without its line break."""
        return self.model_dump_json(by_alias=True)


class Session(_Line):
    """The first line of a session: where, when, by what, and what is to be measured."""

    kind: Literal["session"] = "session"
    id: Id
    started: AwareDatetime
    lightmobile: Name = Field(description="version")
    study: Name = Field(default="", description="the experiment that it measures, where for one")
    quick: bool = Field(default=False, strict=True, description="in its small size")
    device: DeviceIdentity
    condition: Condition = Condition()
    plan: tuple[Configuration, ...]

    @property
    def key(self) -> tuple[object, ...]:
        """One line a session."""
        return (self.kind, self.id)


class Reading(_Line):
    """The condition of the device before or after a round."""

    kind: Literal["condition"] = "condition"
    session: Id
    round: Count
    when: Literal["before", "after"]
    taken: AwareDatetime
    condition: Condition
    cooling: Cooling | None = Field(default=None, description="the wait before it, where any")

    @property
    def key(self) -> tuple[object, ...]:
        """One reading a round and side."""
        return (self.kind, self.session, self.round, self.when)


class _ResultLine(_Line):
    session: Id
    result: Id


class Process(_ResultLine):
    """A runner process loaded the artifact, ran it once, and warmed up."""

    kind: Literal["process"] = "process"
    process: Count = Field(description="0, 1, ...: the same result is measured in several")
    versions: dict[Name, Name] = Field(default={})
    threads: Positive | None = Field(default=None, description="in use, by the runtime's own word")
    delegates: tuple[Name, ...] = ()
    timed: Text = Field(default="", description="what lies inside the timed region")
    load_ns: Nanoseconds
    first_ns: Nanoseconds
    warm_up_ns: tuple[Nanoseconds, ...] = ()
    output_sha256: Sha256 | None = None

    @property
    def key(self) -> tuple[object, ...]:
        """One line a process."""
        return (self.kind, self.result, self.process)


class Slice(_ResultLine):
    """Inferences timed one after another in one live process, as its part of a round."""

    kind: Literal["slice"] = "slice"
    round: Count
    process: Count
    started: AwareDatetime
    samples_ns: tuple[Nanoseconds, ...] = Field(min_length=1, description="one an inference")

    @property
    def key(self) -> tuple[object, ...]:
        """One slice a round and process."""
        return (self.kind, self.result, self.round, self.process)


class Memory(_ResultLine):
    """Resident memory, from a pass of its own."""

    kind: Literal["memory"] = "memory"
    peak_bytes: Bytes
    baseline_bytes: Bytes = Field(description="before the artifact is loaded")

    @property
    def key(self) -> tuple[object, ...]:
        """One line a result."""
        return (self.kind, self.result)


class Profile(_ResultLine):
    """Time by operator, from a pass of its own (profiling slows the rest down)."""

    kind: Literal["profile"] = "profile"
    rows: tuple[ProfileRow, ...]

    @property
    def key(self) -> tuple[object, ...]:
        """One line a result."""
        return (self.kind, self.result)


class Numerics(_ResultLine):
    """How far the outputs on the device are from others of the same inputs."""

    kind: Literal["numerics"] = "numerics"
    against: Literal["pytorch", "host"] = Field(
        description="the model before its export, or the same file in the host's own runtime"
    )
    max_abs: Figure
    rel_l2: Figure = Field(description="of the whole output")
    steps: Figure | None = Field(
        default=None, description="max_abs in steps of the output's grid, where it lies on one"
    )
    passed: Annotated[bool, Field(strict=True)]

    @property
    def key(self) -> tuple[object, ...]:
        """One line a result and reference."""
        return (self.kind, self.result, self.against)


class Minute(_ResultLine):
    """Inferences of one minute of a load without a break, from a pass of its own."""

    kind: Literal["minute"] = "minute"
    minute: Count = Field(description="0, 1, ...")
    started: AwareDatetime
    samples_ns: tuple[Nanoseconds, ...] = Field(min_length=1, description="one an inference")
    condition: Condition = Field(description="as the minute ended")

    @property
    def key(self) -> tuple[object, ...]:
        """One line a minute."""
        return (self.kind, self.result, self.minute)


class Summary(_ResultLine):
    """What another benchmark's program says of its runs, of which it keeps no samples.

    Its mean is no median: results from samples are not compared with it.
    """

    kind: Literal["summary"] = "summary"
    program: Name
    count: Positive = Field(description="inferences that were timed")
    load_ns: Nanoseconds
    first_ns: Nanoseconds
    warm_up_mean_ns: Nanoseconds
    mean_ns: Nanoseconds
    min_ns: Nanoseconds | None = None
    max_ns: Nanoseconds | None = None
    std_ns: Count | None = None
    p5_ns: Nanoseconds | None = None
    median_ns: Nanoseconds | None = None
    p95_ns: Nanoseconds | None = None
    memory_bytes: Bytes | None = Field(default=None, description="grown since it started")

    @property
    def key(self) -> tuple[object, ...]:
        """One line a result and program."""
        return (self.kind, self.result, self.program)


class Failure(_ResultLine):
    """A runner failed; the other results of the session go on."""

    kind: Literal["failure"] = "failure"
    stage: Name = Field(description="load, run, profile, memory, ...")
    error: Text

    @property
    def key(self) -> tuple[object, ...]:
        """The same failure counts once."""
        return (self.kind, self.result, self.stage, self.error)


class End(_ResultLine):
    """A result is complete, or was stopped."""

    kind: Literal["end"] = "end"
    stopped: Literal["interval", "time", "rounds", "interrupted"]

    @property
    def key(self) -> tuple[object, ...]:
        """An interrupted result that was resumed ends once more."""
        return (self.kind, self.result, self.stopped)


class OtherLine(_Line):
    """A kind of line that a later version writes: kept and shared, read by no one here."""

    kind: Name

    @property
    def key(self) -> tuple[object, ...]:
        """Its whole text, since nothing else is known of it."""
        return (self.kind, self.to_json())


_KINDS = {
    *("session", "condition", "process", "slice", "memory"),
    *("profile", "numerics", "minute", "summary", "failure", "end"),
}


def _kind(line: Any) -> str | None:
    kind = line.get("kind") if isinstance(line, dict) else getattr(line, "kind", None)
    if not isinstance(kind, str):
        return None
    return kind if kind in _KINDS else "other"


Line: TypeAlias = Annotated[
    Annotated[Session, Tag("session")]
    | Annotated[Reading, Tag("condition")]
    | Annotated[Process, Tag("process")]
    | Annotated[Slice, Tag("slice")]
    | Annotated[Memory, Tag("memory")]
    | Annotated[Profile, Tag("profile")]
    | Annotated[Numerics, Tag("numerics")]
    | Annotated[Minute, Tag("minute")]
    | Annotated[Summary, Tag("summary")]
    | Annotated[Failure, Tag("failure")]
    | Annotated[End, Tag("end")]
    | Annotated[OtherLine, Tag("other")],
    Discriminator(_kind),
]

_LINE: TypeAdapter[Line] = TypeAdapter(Line)


class _Major(BaseModel):
    schema_: int = Field(alias="schema", strict=True)


def parse_line(text: bytes | str) -> Line:
    """Return the line that `text` holds.

    Raises
    ------
    UsageError
        A later lightmobile wrote it, under another major version of the schema.
    pydantic.ValidationError
        It is damaged.
    """
    try:
        return _LINE.validate_json(text)
    except ValidationError as damage:
        try:
            major = _Major.model_validate_json(text).schema_
        except ValidationError:
            raise damage from None
        if major == SCHEMA:
            raise
        raise UsageError(
            f"The store holds lines of schema {major}, and this version reads schema {SCHEMA}",
            why="A later lightmobile wrote them",
            fix="Update lightmobile, or give another --store",
        ) from None


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of one line of a store."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"A line of a lightmobile result store, schema {SCHEMA}",
        **_LINE.json_schema(by_alias=True),
    }


def new_id() -> str:
    """Return an id for a session or a result: 128 random bits, so that stores can be merged."""
    return uuid.uuid4().hex


def now() -> datetime:
    """Return the time as the lines of a store hold it: with its zone, UTC."""
    return datetime.now(UTC)
