"""LiteRT's own ``benchmark_model``, for a phone's GPU: the user gives the program's path.

The program is Google's, no part of this package, and prints a summary of its runs instead of
each one's time: its README at ``tensorflow/lite/tools/benchmark`` documents options and output.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from lightmobile.device_bench.schema import Configuration, Summary
from lightmobile.errors import DelegationError, DeviceError, UsageError

if TYPE_CHECKING:
    from lightmobile.device_bench.devices.android.phone import AndroidPhone

__all__ = ["parse_output", "run_benchmark_model"]

WARM_UP_RUNS = 10
RUNS = 100
MOST_S = 120.0  # of the timed runs, by the program itself
TIMEOUT_S = 600.0  # compiling a large network for a GPU takes minutes

_NUMBER = r"[0-9.eE+]{1,20}"
# "count=50 first=.. curr=.. min=.. max=.. avg=.. std=..", later with p5, median and p95: the first
# such line is of the warm-up, the last of the runs. One run alone prints count and curr.
_COUNTED = re.compile(rf"\bcount=(\d{{1,9}})((?: \w{{1,10}}={_NUMBER})+)")
_TIMINGS = re.compile(
    rf"Inference timings in us: Init: ({_NUMBER}), First inference: ({_NUMBER}), "
    rf"Warmup \(avg\): ({_NUMBER}), Inference \(avg\): ({_NUMBER})"
)
_FOOTPRINT = re.compile(rf"[Mm]emory footprint[^\n]*?\(MB\)[^\n]*? overall=({_NUMBER})")


def run_benchmark_model(
    phone: AndroidPhone,
    program: Path,
    artifact: Path,
    configuration: Configuration,
    session: str,
) -> Summary:
    """Run the program `program` on a phone that was entered; return what it says of its runs.

    Parameters
    ----------
    artifact
        A ``.tflite`` file.
    configuration
        Its compute unit (``cpu`` or ``gpu``), threads and the id of the result.
    session
        Id of the session.

    Raises
    ------
    UsageError
        The program has no such compute unit, or is no file.
    DelegationError
        The GPU did not take the whole graph.
    DeviceError
        The program failed, or printed what it is not documented to print.
    """
    if configuration.compute not in {"cpu", "gpu"}:
        raise UsageError(
            f"benchmark_model measures no {configuration.compute} by itself",
            why="A phone's NPU needs its maker's delegate",
            fix="Use --compute cpu or gpu",
        )
    if not program.is_file():
        raise UsageError(f"There is no program {program}", fix="Give the path of benchmark_model")
    on_phone = phone.place(program)
    options = {
        "graph": phone.place(artifact),
        "num_threads": str(configuration.threads or 1),
        "use_gpu": str(configuration.compute == "gpu").lower(),
        "warmup_runs": str(WARM_UP_RUNS),
        "num_runs": str(RUNS),
        "max_secs": str(MOST_S),
    }
    words = [on_phone, *(f"--{name}={value}" for name, value in options.items())]
    said = phone.run_program(
        f"chmod 755 {on_phone} && exec {shlex.join(words)} 2>&1", timeout_s=TIMEOUT_S
    )
    if configuration.compute == "gpu":
        check_delegated(said, artifact.name)
    return parse_output(said, configuration.result, session)


def check_delegated(text: str, artifact: str) -> None:
    """Check that the whole graph ran on the GPU, by the program's own word.

    Raises
    ------
    DelegationError
        It did not: parts ran on the CPU, which the times do not tell.
    """
    if "GPU delegate, and the model graph will be completely executed" in text:
        return
    replaced = re.search(r"Replacing (\d{1,6}) out of (\d{1,6}) node\(s\)", text)
    raise DelegationError(
        f"The GPU did not take all of {artifact}",
        why=f"It took {replaced[1]} of {replaced[2]} operators"
        if replaced
        else "benchmark_model does not say that it did; it said: " + _tail(text),
        fix="Measure it with --compute cpu, or export another form of it",
    )


def parse_output(text: str, result: str, session: str) -> Summary:
    """Return what the program's output `text` says of its runs.

    Raises
    ------
    DeviceError
        It is not the documented output.
    """
    timings = _TIMINGS.search(text)
    counted = _COUNTED.findall(text)
    if timings is None or not counted:
        raise DeviceError(
            "benchmark_model did not print its times",
            why=_tail(text),
            fix="Give the official program for Android arm64 of a release",
        )
    init, first, warm_up, mean = (_nanoseconds(each) for each in timings.groups())
    count, pairs = counted[-1]
    figures = {name: _nanoseconds(value) for name, value in re.findall(r"(\w+)=(\S+)", pairs)}
    footprint = _FOOTPRINT.search(text)
    try:
        return Summary(
            session=session,
            result=result,
            program="LiteRT benchmark_model",
            count=int(count),
            load_ns=init,
            first_ns=first,
            warm_up_mean_ns=warm_up,
            mean_ns=mean,
            min_ns=figures.get("min"),
            max_ns=figures.get("max"),
            std_ns=figures.get("std"),
            p5_ns=figures.get("p5"),
            median_ns=figures.get("median"),
            p95_ns=figures.get("p95"),
            memory_bytes=None if footprint is None else _bytes(footprint[1]),
        )
    except ValidationError as error:
        raise _no_figure(error.errors()[0]["msg"]) from None


def _nanoseconds(microseconds: str) -> int:
    return _scaled(microseconds, 1000)


def _bytes(megabytes: str) -> int:
    return _scaled(megabytes, 2**20)


def _scaled(text: str, factor: int) -> int:
    try:
        return round(float(text) * factor)
    except (ValueError, OverflowError):
        raise _no_figure(text) from None


def _no_figure(why: str) -> DeviceError:
    return DeviceError("benchmark_model printed a figure that is none", why=why)


def _tail(text: str) -> str:
    return text.strip()[-500:] or "nothing"
