"""Native against Python runners on this host: the same file must take the same time in both.

They share the runtimes' own libraries, and differ in what is around them. Slices of the two
alternate in shuffled order, in several pairs of processes. Prints the medians, and whether the
ratio of the two lies within 3 % or 50 us of 1, whichever is more.

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
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from lightmobile.device_bench.devices.host import HostDevice
from lightmobile.device_bench.inputs import write_noise
from lightmobile.device_bench.protocol import Load, Tensor
from lightmobile.device_bench.session import RunnerSession
from lightmobile.export import export
from lightmobile.export.artifact import Artifact
from lightmobile.export.manifest import read_manifest
from tests.device_bench.native import command

RATIO_BAR = 0.03
DIFFERENCE_BAR_US = 50.0
PROCESSES = 5
WARM_UP_S = 0.5
SLICE_S = 0.2


@dataclass
class Side:
    """One of the two runners of a file."""

    medians_ns: list[float] = field(default_factory=list)  # of the rounds
    digests: set[str] = field(default_factory=set)

    @property
    def median_us(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.medians_ns) / 1e3


def main() -> int:
    """Return 0 where every pair lies within the bar."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=["fasternet_t0", "mobilenet_v2"])
    parser.add_argument("--seconds", type=float, default=20.0, help="for each runner of a file")
    wanted = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as name:
        for model in wanted.models:
            folder = Path(name) / model
            for made in export(model, targets=("executorch", "tflite"), output_dir=folder):
                sides = measure(made, folder, wanted.seconds)
                failed += not report(model, made.target, sides)
    print("all within the bar" if not failed else f"{failed} beyond the bar")
    return int(failed > 0)


def measure(made: Artifact, folder: Path, seconds: float) -> dict[str, Side]:
    """Return what each kind of runner took for `made`."""
    tensors = read_manifest(made.path).inputs
    files = write_noise(tensors, 0, folder)
    load = Load(
        artifact=str(made.path),
        threads=1,
        inputs=tuple(
            Tensor(shape=each.shape, dtype=each.dtype, file=str(file))
            for each, file in zip(tensors, files, strict=True)
        ),
    )
    sides = {"python": Side(), "native": Side()}
    order = random.Random(0)
    for _ in range(PROCESSES):
        with ExitStack() as stack:
            live = {
                kind: stack.enter_context(start(kind, made.target))
                for kind in order.sample([*sides], 2)
            }
            counts = {kind: warm_up(session, load) for kind, session in live.items()}
            # Both take slices of as many inferences, so that they weigh the same.
            count = max(counts.values())
            for _ in range(max(1, round(seconds / SLICE_S / PROCESSES))):
                for kind in order.sample([*live], 2):
                    ran = live[kind].run(count, warm_up=1 + count // 10)
                    sides[kind].medians_ns.append(statistics.median(ran.samples_ns))
                    sides[kind].digests.add(ran.output_sha256)
    return sides


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
    return max(1, round(SLICE_S * 1e9 / statistics.median(samples_ns)))


def report(model: str, runtime: str, sides: dict[str, Side]) -> bool:
    """Print a line; return whether the pair lies within the bar and computes the same."""
    python, native = sides["python"], sides["native"]
    # Round by round, so that what the machine did meanwhile is in both.
    ratio = statistics.median(
        mine / other for mine, other in zip(native.medians_ns, python.medians_ns, strict=True)
    )
    bar = max(RATIO_BAR, DIFFERENCE_BAR_US / python.median_us)
    is_close = abs(ratio - 1) <= bar
    is_same = len(python.digests | native.digests) == 1
    print(
        f"{model} on {runtime}: python {python.median_us:.0f} us, native {native.median_us:.0f} us,"
        f" ratio by rounds {ratio:.4f} over {len(native.medians_ns)} rounds in {PROCESSES} "
        f"processes each; outputs {'equal' if is_same else 'DIFFER'}; "
        f"{'within' if is_close else 'BEYOND'} the bar of {bar:.1%}",
        flush=True,
    )
    return is_close and is_same


if __name__ == "__main__":
    sys.exit(main())
