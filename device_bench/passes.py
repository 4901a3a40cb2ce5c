"""The passes beside the latency, each in processes of its own, so that they cost it nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightmobile.device_bench.devices import open_device
from lightmobile.device_bench.numerics import Against, compare
from lightmobile.device_bench.profile import read_trace
from lightmobile.device_bench.protocol import Load, Tensor
from lightmobile.device_bench.schema import Memory, Minute, Numerics, Profile, now
from lightmobile.device_bench.session import RunnerError
from lightmobile.device_bench.workbench import Member, Workbench
from lightmobile.errors import LightmobileError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Passes", "passes_of", "sustain"]

PROFILED_RUNS = 20
MEMORY_RUNS = 3
# Short enough to notice a dead runner, long enough to leave the device no rest.
REQUEST_S = 2.0
MINUTE_S = 60.0

Pass = Callable[[Workbench, Member], None]


@dataclass(frozen=True)
class Passes:
    """Which passes are wanted beside the latency; see `bench`."""

    memory: bool = True
    profile: bool | frozenset[str] = False
    numerics: bool = False
    sustained_minutes: int | None = None


def passes_of(wanted: Passes) -> dict[str, Pass]:
    """Return the passes in their order, by the names that progress is told with."""
    passes: dict[str, Pass] = {}
    if wanted.memory:
        passes["memory"] = measure_memory
    if wanted.profile:
        models = None if wanted.profile is True else wanted.profile
        passes["operators"] = lambda bench, member: measure_operators(bench, member, models)
    if wanted.numerics:
        passes["numerics"] = check_outputs
    if minutes := wanted.sustained_minutes:
        # Last: it heats the device.
        passes["sustained"] = lambda bench, member: sustain(bench, member, minutes)
    return passes


def measure_memory(bench: Workbench, member: Member) -> None:
    """Tell what loading and running `member` takes beyond the bare runtime."""
    with bench.noting(member), bench.start(member) as session:
        session.load(bench.load(member, "memory"))
        session.run(MEMORY_RUNS, expected_s=member.expected_s)
        use = session.memory()
        bench.write(
            Memory(
                session=bench.session,
                result=member.configuration.result,
                peak_bytes=use.peak_bytes,
                baseline_bytes=use.baseline_bytes,
            )
        )


def measure_operators(
    bench: Workbench, member: Member, models: frozenset[str] | None = None
) -> None:
    """Time each operator of `member`, if it is one of `models`."""
    if models is not None and member.configuration.model not in models:
        return
    with bench.noting(member):
        trace = bench.device.scratch("trace")
        with bench.start(member) as session:
            loaded = session.load(bench.load(member, "profile"))
            profiled = session.profile(PROFILED_RUNS, trace, expected_s=member.expected_s)
        here = bench.folder / "trace"
        bench.device.fetch(trace, here)
        rows = read_trace(here, profiled.format, loaded.delegates)
        bench.write(Profile(session=bench.session, result=member.configuration.result, rows=rows))


def check_outputs(bench: Workbench, member: Member) -> None:
    """Compare what `member` computes with PyTorch, and with the same file on this host."""
    with bench.noting(member):
        with bench.start(member) as session:
            session.load(bench.load(member))
            session.run(1)
            outputs = session.outputs(bench.device.scratch(""))
        measured = [_fetched(bench, each) for each in outputs.outputs]
        references: dict[Against, Callable[[Workbench, Member], Sequence[NDArray[Any]]]]
        references = {"pytorch": _pytorch, "host": _host}
        if bench.device.identity().kind == "host":
            del references["host"]
        for against, reference in references.items():
            with bench.noting(member):
                _compare(bench, member, against, reference(bench, member), measured)


def _compare(
    bench: Workbench,
    member: Member,
    against: Against,
    expected: Sequence[NDArray[Any]],
    measured: Sequence[NDArray[Any]],
) -> None:
    try:
        agreement = compare(expected, measured, member.configuration.precision, against)
    except ValueError as error:
        raise RunnerError("numerics", f"The outputs are not {against}'s", why=str(error)) from None
    bench.write(
        Numerics(
            session=bench.session,
            result=member.configuration.result,
            against=against,
            **vars(agreement),
        )
    )


def _fetched(bench: Workbench, output: Tensor) -> NDArray[Any]:
    import numpy as np

    here = bench.folder / "output"
    bench.device.fetch(output.file, here)
    return _array(here, np.dtype(output.dtype), output.shape)


def _array(file: Path, dtype: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    import numpy as np

    try:
        return np.fromfile(file, dtype).reshape(shape)
    except ValueError as error:
        raise RunnerError(
            "outputs", "An output has another size than it says", why=str(error)
        ) from None


def _pytorch(bench: Workbench, member: Member) -> Sequence[NDArray[Any]]:
    from lightmobile.export.verification.answers import pytorch_answers

    try:
        # A file's own word is not enough to run code of somebody's: only a name is one's own.
        model = member.configuration.model if member.planned.by_name else None
        (inputs,) = bench.inputs(member)
        return pytorch_answers(member.artifact, inputs, bench.folder, model=model)
    except LightmobileError as error:
        raise RunnerError("numerics", "PyTorch cannot be asked", why=str(error)) from None


def _host(bench: Workbench, member: Member) -> Sequence[NDArray[Any]]:
    configuration = member.configuration
    with open_device("host") as host, host.start(configuration.runtime) as session:
        files = zip(member.planned.inputs, bench.inputs(member), strict=True)
        inputs = tuple(
            Tensor(shape=each.shape, dtype=each.dtype, file=str(file)) for each, file in files
        )
        session.load(Load(artifact=str(member.artifact), threads=1, inputs=inputs))
        session.run(1)
        return [
            _array(Path(each.file), each.dtype, each.shape)
            for each in session.outputs(host.scratch("")).outputs
        ]


def sustain(bench: Workbench, member: Member, minutes: int, *, minute_s: float = MINUTE_S) -> None:
    """Run `member` for `minutes` without a break, from a cool start; keep each minute."""
    with bench.noting(member):
        bench.device.wait_until_cool(bench.progress)
        with bench.start(member) as session:
            session.load(bench.load(member))
            each_s = member.expected_s or session.run(1).samples_ns[0] / 1e9
            for minute in range(minutes):
                bench.progress("sustained", f"{member.title}: minute {minute + 1} of {minutes}")
                started, samples_ns = now(), list[int]()
                end = time.monotonic() + minute_s
                while not samples_ns or time.monotonic() < end:
                    count = max(1, round(min(REQUEST_S, minute_s) / each_s))
                    samples_ns += session.run(count, expected_s=each_s).samples_ns
                bench.write(
                    Minute(
                        session=bench.session,
                        result=member.configuration.result,
                        minute=minute,
                        started=started,
                        samples_ns=tuple(samples_ns),
                        condition=bench.device.condition(),
                    )
                )
