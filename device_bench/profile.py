"""Per-operator times out of a runner's trace: ``python -m lightmobile.device_bench.profile TRACE``.

ExecuTorch's Inspector reads an ETDump, and imports the whole exporter to do so; that is left to a
process of its own, which prints the rows as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from itertools import islice
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, Field

from lightmobile.device_bench.schema import ProfileRow
from lightmobile.device_bench.session import RunnerError

__all__ = ["read_trace"]

Format: TypeAlias = Literal["etdump", "litert"]

_TIMEOUT_S = 300.0
_MOST_EVENTS = 1_000_000


def read_trace(trace: Path, format_: Format, delegates: tuple[str, ...]) -> tuple[ProfileRow, ...]:
    """Return the operators in `trace`, in the order in which they ran.

    Parameters
    ----------
    format_
        As the runner said, which wrote it: :class:`.protocol.Profiled`.
    delegates
        Those of the program; the trace does not name them.

    Raises
    ------
    RunnerError
        The trace cannot be read.
    """
    rows = _inspected(trace) if format_ == "etdump" else _litert_rows(trace)
    delegate = ", ".join(delegates)
    return tuple(
        ProfileRow(
            name=row["name"],
            samples_ns=tuple(row["samples_ns"]),
            delegate=delegate if row["delegated"] else None,
        )
        for row in rows
    )


def _inspected(trace: Path) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "lightmobile.device_bench.profile", str(trace)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise RunnerError("profile", f"The trace was not read within {_TIMEOUT_S:.0f} s") from None
    if done.returncode != 0:
        tail = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise RunnerError("profile", "The trace cannot be read", why=tail)
    rows: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return rows


class _Event(BaseModel):
    """One operator of one run, as the LiteRT runner writes it, a line each."""

    run: int = Field(ge=0)
    name: str = Field(max_length=300)
    duration_ns: int = Field(ge=0, le=2**53)
    delegated: bool


def _litert_rows(trace: Path) -> list[dict[str, Any]]:
    runs: defaultdict[int, list[_Event]] = defaultdict(list)
    try:
        with trace.open("rb") as file:
            for line in islice(file, _MOST_EVENTS):
                event = _Event.model_validate_json(line)
                runs[event.run].append(event)
        # Every run has the same operators, one after another.
        operators = list(zip(*(runs[run] for run in sorted(runs)), strict=True))
        for events in operators:
            if len({event.name for event in events}) != 1:
                raise ValueError("its runs have other operators")
    except ValueError as error:
        raise RunnerError("profile", "The trace cannot be read", why=str(error)) from None
    return [
        {
            "name": events[0].name,
            "samples_ns": [event.duration_ns for event in events],
            "delegated": events[0].delegated,
        }
        for events in operators
    ]


def _rows(trace: Path) -> list[dict[str, Any]]:
    """Return the rows of the operators: a delegate's own where it tells them, else its call."""
    from executorch.devtools import Inspector

    blocks = Inspector(etdump_path=str(trace)).event_blocks
    events = [event for block in blocks if block.name == "Execute" for event in block.events]
    calls = [event for event in events if event.name == "DELEGATE_CALL"]
    inside = [event for event in events if event.is_delegated_op]
    # An operator of the runtime itself is traced twice, by its kernel and as OPERATOR_CALL.
    kernels = [event for event in events if event.name.startswith("native_call_")]
    chosen = {id(event) for event in (*(inside or calls), *kernels)}
    return [
        {
            "name": event.name.removeprefix("native_call_"),
            "samples_ns": [max(0, round(ms * 1e6)) for ms in event.perf_data.raw],
            "delegated": not event.name.startswith("native_call_"),
        }
        for event in events
        if id(event) in chosen and event.perf_data is not None
    ]


if __name__ == "__main__":
    print(json.dumps(_rows(Path(sys.argv[1]))))  # noqa: T201 - the answer
