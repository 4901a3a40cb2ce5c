"""Lines of a store as a bench would write them, for the tests of what reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lightmobile.device_bench.schema import (
    Configuration,
    DeviceIdentity,
    End,
    Line,
    Memory,
    Process,
    Session,
    Slice,
    now,
)

DEVICE = DeviceIdentity(system="Linux", machine="x86_64", processor="A processor")


def configuration(result: str = "r", **changes: Any) -> Configuration:
    facts = {"model": "fasternet_t0", "artifact": "fasternet_t0.xnnpack.fp32.pte"}
    facts |= {"runtime": "executorch", "backend": "xnnpack", "precision": "fp32"}
    return Configuration(result=result, **facts | changes)


def session(*plan: Configuration, **changes: Any) -> Session:
    facts: dict[str, Any] = {"id": "s", "started": now(), "lightmobile": "0.1.0", "device": DEVICE}
    return Session(plan=plan or (configuration(),), **facts | changes)


def process(number: int = 0, **changes: Any) -> Process:
    facts: dict[str, Any] = {"session": "s", "result": "r", "load_ns": 2_000_000}
    return Process(process=number, **facts | {"first_ns": 9_000_000} | changes)


def slice_(
    round_: int, samples_ns: Sequence[int] = (1_000_000, 3_000_000), **changes: Any
) -> Slice:
    facts: dict[str, Any] = {"session": "s", "result": "r", "process": 0, "started": now()}
    return Slice(round=round_, samples_ns=tuple(samples_ns), **facts | changes)


def whole_result(result: str = "r", session_: str = "s") -> list[Line]:
    """All lines of one result but its session's, measured in two processes of two slices."""
    owner = {"session": session_, "result": result}
    return [
        process(0, **owner),
        slice_(0, process=0, **owner),
        slice_(1, process=0, **owner),
        process(1, load_ns=4_000_000, **owner),
        slice_(2, process=1, **owner),
        slice_(3, process=1, **owner),
        Memory(peak_bytes=100, baseline_bytes=40, **owner),
        End(stopped="rounds", **owner),
    ]
