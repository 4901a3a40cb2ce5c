"""Native against Python runners on this host: the same file must take the same time in both.

They share the runtimes' own libraries, and differ in what is around them. Slices of the two
alternate in shuffled order, in several pairs of processes. Prints the medians and their ratio,
round by round, with its 95 % interval. Bar: the ratio lies within 3 % or 50 us of 1, whichever is
more, and both compute the same bits.

Run it on a quiet machine with cmake, a C++ compiler, libmd and nlohmann-json:
``python -m benchmarks.native_runners [MODEL ...] [--seconds 20]``.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lightmobile.device_bench.devices.host import HostDevice
from lightmobile.device_bench.inputs import write_noise
from lightmobile.device_bench.protocol import Load, Tensor
from lightmobile.device_bench.session import RunnerSession
from lightmobile.export import export
from lightmobile.export.manifest import read_manifest
from tests.device_bench.artifacts import make
from tests.device_bench.native import command

RATIO_BAR = 0.03
DIFFERENCE_BAR_US = 50.0
PROCESSES = 5
WARM_UP_S = 0.5
SLICE_S = 0.2
MOST_INFERENCES = 1000  # of a slice
RESAMPLES = 2000
TINY = "tiny"  # some 10 us, which shows what a call costs


@dataclass
class Pair:
    """What the two runners of a file took: [process][round], in nanoseconds."""

    python: list[list[float]] = field(default_factory=list)
    native: list[list[float]] = field(default_factory=list)
    digests: set[str] = field(default_factory=set)


def main() -> int:
    """Return 0 where every pair lies within the bar."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=[TINY, "fasternet_t0"])
    parser.add_argument("--seconds", type=float, default=20.0, help="for each runner of a file")
    wanted = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as name:
        for model in wanted.models:
            for runtime, artifact in artifacts(model, Path(name) / model):
                failed += not report(model, runtime, measure(runtime, artifact, wanted.seconds))
    print("all within the bar" if not failed else f"{failed} beyond the bar")
    return int(failed > 0)


def artifacts(model: str, folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the runtimes and what they are to run."""
    folder.mkdir()
    if model == TINY:
        yield from make(folder).items()
    else:
        for made in export(model, targets=("executorch", "tflite"), output_dir=folder):
            yield made.target, made.path


def measure(runtime: str, artifact: Path, seconds: float) -> Pair:
    """Return what each kind of runner took for `artifact`."""
    tensors = read_manifest(artifact).inputs
    files = write_noise(tensors, 0, artifact.parent)
    load = Load(
        artifact=str(artifact),
        threads=1,
        inputs=tuple(
            Tensor(shape=each.shape, dtype=each.dtype, file=str(file))
            for each, file in zip(tensors, files, strict=True)
        ),
    )
    pair = Pair()
    order = random.Random(0)
    rounds = max(1, round(seconds / SLICE_S / PROCESSES))
    for _ in range(PROCESSES):
        with ExitStack() as stack:
            kinds = order.sample(["python", "native"], 2)
            live = {kind: stack.enter_context(start(kind, runtime)) for kind in kinds}
            # Slices of as many inferences, so that both weigh the same.
            count = max([warm_up(session, load) for session in live.values()])
            medians_ns: dict[str, list[float]] = {"python": [], "native": []}
            for _ in range(rounds):
                for kind in order.sample(kinds, 2):
                    ran = live[kind].run(count, warm_up=1 + count // 10)
                    medians_ns[kind].append(statistics.median(ran.samples_ns))
                    pair.digests.add(ran.output_sha256)
        pair.python.append(medians_ns["python"])
        pair.native.append(medians_ns["native"])
    return pair


def start(kind: str, runtime: str) -> RunnerSession:
    """Start a runner."""
    if kind == "native":
        return RunnerSession(command(runtime))
    return HostDevice().start(runtime)


def warm_up(session: RunnerSession, load: Load) -> int:
    """Load, warm up, and return how many inferences make a slice."""
    session.hello()
    session.load(load)
    end = time.monotonic() + WARM_UP_S
    samples_ns: list[int] = []
    while time.monotonic() < end:
        samples_ns += session.run(5).samples_ns
    count = round(SLICE_S * 1e9 / statistics.median(samples_ns))
    return min(MOST_INFERENCES, max(1, count))


def report(model: str, runtime: str, pair: Pair) -> bool:
    """Print a line; return whether the pair lies within the bar and computes the same."""
    # Round by round, so that what the machine did meanwhile is in both.
    ratios = np.array(pair.native) / np.array(pair.python)
    ratio = float(np.median(ratios))
    low, high = interval(ratios)
    python_us, native_us = (float(np.median(each)) / 1e3 for each in (pair.python, pair.native))
    bar = max(RATIO_BAR, DIFFERENCE_BAR_US / python_us)
    is_close = abs(ratio - 1) <= bar
    is_same = len(pair.digests) == 1
    print(
        f"{model} on {runtime}: python {python_us:.1f} us, native {native_us:.1f} us, "
        f"ratio {ratio:.4f} [{low:.4f}, {high:.4f}] over {ratios.size} rounds in {PROCESSES} "
        f"processes each; outputs {'equal' if is_same else 'DIFFER'}; "
        f"{'within' if is_close else 'BEYOND'} the bar of {bar:.1%}",
        flush=True,
    )
    return is_close and is_same


def interval(ratios: np.ndarray) -> tuple[float, float]:
    """Return the bootstrap interval of the median of `ratios`, [process, round]."""
    draw = np.random.default_rng(0)
    processes, rounds = ratios.shape
    which = draw.integers(processes, size=(RESAMPLES, processes, 1))
    when = draw.integers(rounds, size=(RESAMPLES, processes, rounds))
    medians = np.median(ratios[which, when], axis=(1, 2))
    low, high = np.percentile(medians, (2.5, 97.5)).tolist()
    return low, high


if __name__ == "__main__":
    sys.exit(main())
