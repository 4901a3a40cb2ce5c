"""Time of `lightmobile export MODEL --target all`, verified, against three plain vendor scripts.

Both run from cold, as processes, in alternating order; the vendors' scripts run one after
another. Bars: the ratio is no more than 0.65, and the same export again takes no more than 1 s.

    python -m benchmarks.export_time [--model fasternet_t0] [--rounds 5]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.plain import SUFFIXES, median_with_interval, run_plain, run_quietly

BAR_RATIO = 0.65
BAR_CACHED_S = 1.0


def main() -> None:
    """Measure, and print each figure beside its bar."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="fasternet_t0")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    ratios, cached = [], []
    with tempfile.TemporaryDirectory() as name:
        os.environ["LIGHTMOBILE_CACHE"] = name
        for number in range(arguments.rounds):
            seconds = _round(arguments.model, Path(name) / str(number), plain_first=number % 2 == 0)
            ratios.append(seconds["ours"] / seconds["plain"])
            cached.append(seconds["cached"])
            told = ", ".join(f"{what} {took:.2f} s" for what, took in seconds.items())
            print(f"round {number}: {told}, ratio {ratios[-1]:.3f}", flush=True)
    for what, values, bar in (("ratio", ratios, BAR_RATIO), ("cached, s", cached, BAR_CACHED_S)):
        median, low, high = median_with_interval(values)
        print(f"{what}: {median:.3f} [{low:.3f}, {high:.3f}], bar {bar}")


def _round(model: str, folder: Path, *, plain_first: bool) -> dict[str, float]:
    folder.mkdir()
    export = ("-m", "lightmobile", "export", model, "--target", "all", "-o", folder / "ours")

    def plain() -> None:
        for target in SUFFIXES:
            run_plain(target, model, folder)

    def ours() -> None:
        run_quietly(*export, "--no-cache")

    works = {"plain": plain, "ours": ours} if plain_first else {"ours": ours, "plain": plain}
    seconds = {what: _seconds(work) for what, work in works.items()}
    return seconds | {"cached": _seconds(lambda: run_quietly(*export))}


def _seconds(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
