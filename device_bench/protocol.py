"""The words between a bench and its runners: one JSON object a line each way, ``protocol: 1``.

A runner is a process that holds one artifact at a time in one runtime. It reads requests from its
standard input and answers each with one line on its standard output, which carries nothing else.
One request loads; any number follow, another load among them; the end of its input ends it.

============  =================================================  ==============================
Request       carries                                            answer
============  =================================================  ==============================
``hello``                                                        :class:`Identity`
``load``      artifact, threads, cores, inputs, record, ...         :class:`Loaded`
``run``       inferences to warm up with, inferences to time     :class:`Ran`
``memory``                                                       :class:`MemoryUse`
``profile``   inferences to profile, file to trace them into     :class:`Profiled`
``outputs``   folder to write them into                         :class:`Outputs`
``close``                                                        :class:`Closed`
============  =================================================  ==============================

Any request may be answered by :class:`Failed` instead. A message of another major version of the
protocol is refused; a key that the reader does not know is kept.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

__all__ = [
    "PROTOCOL",
    "Close",
    "Closed",
    "Failed",
    "GetMemory",
    "GetOutputs",
    "Hello",
    "Identity",
    "Load",
    "Loaded",
    "MemoryUse",
    "Outputs",
    "Profile",
    "Profiled",
    "ProtocolError",
    "Ran",
    "Record",
    "Reply",
    "Request",
    "Run",
    "Tensor",
    "parse_reply",
    "parse_request",
]

PROTOCOL: Literal[1] = 1

Nanoseconds: TypeAlias = Annotated[int, Field(strict=True, gt=0, le=2**53)]
Bytes: TypeAlias = Annotated[int, Field(strict=True, ge=0, le=2**53)]
Core: TypeAlias = Annotated[int, Field(strict=True, ge=0, lt=4096)]
Record: TypeAlias = Literal["latency", "memory", "profile"]
Count: TypeAlias = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]


class ProtocolError(ValueError):
    """A line is no message of this protocol."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False)


class _Message(_Part):
    protocol: Literal[1] = PROTOCOL

    def to_line(self) -> bytes:
        """Return the message as it is sent, with its line break."""
        return self.model_dump_json().encode() + b"\n"


class Reply(_Message):
    """What every answer to a request that was carried out has in common."""

    ok: Literal[True] = True


class Tensor(_Part):
    """One input or output, whose numbers lie in a file of the runner's side, raw in C order."""

    shape: tuple[Annotated[int, Field(ge=1)], ...]
    dtype: str = Field(default="float32", description="as NumPy names it")
    file: str = Field(description="path on the runner's side")


class Identity(Reply):
    """Who the runner is; sent once its runtime is imported."""

    runtime: str
    pid: Annotated[int, Field(strict=True, gt=0)] = Field(
        description="the runner's, where it runs: to end it if the connection to it is lost"
    )
    versions: dict[str, str]
    computes: tuple[str, ...] = Field(description="compute units that it can be asked for")
    timed: str = Field(description="what lies inside the timed region")


class Loaded(Reply):
    """How the artifact was loaded."""

    threads: int | None = Field(default=None, description="in use; None: cannot be read back")
    cores: tuple[Core, ...] | None = Field(
        default=None, description="that it may run on; None: cannot be told"
    )
    delegates: tuple[str, ...] = ()
    load_ns: Nanoseconds = Field(description="from the file to ready for inference")


class Ran(Reply):
    """The time of each inference, and a digest of what the last one computed."""

    warm_up_ns: tuple[Nanoseconds, ...]
    samples_ns: tuple[Nanoseconds, ...]
    output_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class MemoryUse(Reply):
    """Resident memory of the whole process."""

    peak_bytes: Bytes = Field(description="since the artifact began to load")
    baseline_bytes: Bytes = Field(description="with the runtime imported, before loading")


class Profiled(Reply):
    """A trace was written into the file that the request named."""

    format: Literal["etdump", "litert"] = Field(
        description="etdump: ExecuTorch's own; litert: a line for each operator of each run, in "
        "order: {run, name, duration_ns, delegated}"
    )


class Outputs(Reply):
    """What the last inference computed."""

    outputs: tuple[Tensor, ...]


class Closed(Reply):
    """The last answer of a runner."""


class Failed(_Message):
    """A request was not carried out; the runner goes on if it can."""

    ok: Literal[False] = False
    stage: str = Field(description="protocol, import, or the request's op")
    code: str = Field(description="unsupported, usage, or the runtime's own word")
    error: str


class _Request(_Message):
    answer: ClassVar[type[Reply]]


class Hello(_Request):
    """Ask who is there, and wait until it is."""

    answer = Identity

    op: Literal["hello"] = "hello"


class Load(_Request):
    """Load an artifact and read its inputs."""

    answer = Loaded

    op: Literal["load"] = "load"
    artifact: str = Field(description="path on the runner's side; stays in place while it lives")
    threads: Count | None = Field(default=None, description="None: the runtime's choice")
    cores: tuple[Core, ...] | None = Field(
        default=None, description="the only ones to run on; None: as the system chooses"
    )
    compute: str = "cpu"
    inputs: tuple[Tensor, ...]
    record: Record = "latency"


class Run(_Request):
    """Run `warm_up` inferences, then `count` that are timed as the measurement."""

    answer = Ran

    op: Literal["run"] = "run"
    count: Count
    warm_up: Annotated[int, Field(ge=0, le=1_000_000)] = 0


class GetMemory(_Request):
    """Ask for the memory that the process has used."""

    answer = MemoryUse

    op: Literal["memory"] = "memory"


class Profile(_Request):
    """Run `count` inferences and trace their operators into the file `trace`."""

    answer = Profiled

    op: Literal["profile"] = "profile"
    count: Count
    trace: str


class GetOutputs(_Request):
    """Ask for what the last inference computed, as files in `folder`."""

    answer = Outputs

    op: Literal["outputs"] = "outputs"
    folder: str


class Close(_Request):
    """End the runner."""

    answer = Closed

    op: Literal["close"] = "close"


Request: TypeAlias = Hello | Load | Run | GetMemory | Profile | GetOutputs | Close

_REQUEST: TypeAdapter[Request] = TypeAdapter(Annotated[Request, Field(discriminator="op")])


def parse_request(line: bytes) -> Request:
    """Return the request that `line` holds.

    Raises
    ------
    ProtocolError
        It holds none of this protocol.
    """
    try:
        return _REQUEST.validate_json(line)
    except ValidationError as error:
        raise ProtocolError(_why(error)) from None


def parse_reply(line: bytes, request: _Request) -> Any:
    """Return the answer to `request` that `line` holds: its own kind, or :class:`Failed`.

    Raises
    ------
    ProtocolError
        It is no such answer.
    """
    kind: TypeAdapter[Any] = TypeAdapter(
        Annotated[request.answer | Failed, Field(discriminator="ok")]
    )
    try:
        return kind.validate_json(line)
    except ValidationError as error:
        raise ProtocolError(_why(error)) from None


def _why(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else first["msg"]
