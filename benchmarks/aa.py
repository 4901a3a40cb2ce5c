"""A/A: the same artifact given twice must measure alike, or no difference can be believed.

Prints the ratio of the two medians, ten times over, and how many lie within 2 % of 1. Run it on a
quiet machine: ``python -m benchmarks.aa [MODEL|ARTIFACT] [--runtime tflite] [--seconds 20]``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from lightmobile.device_bench import bench
from lightmobile.device_bench.statistics import paired_ratio

BAR = 0.02


def main() -> int:
    """Return 0 where every ratio lies within the bar."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", default="fasternet_t0", help="name, or artifact")
    parser.add_argument("--runtime", default="executorch", help="of a name")
    parser.add_argument("--seconds", type=float, default=20.0, help="for each of the two")
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        artifact = Path(wanted.model)
        if not artifact.exists():
            from lightmobile.export import export

            (made,) = export(wanted.model, targets=(wanted.runtime,), output_dir=Path(folder))
            artifact = made.path
        within = 0
        for number in range(wanted.times):
            first, second = bench(
                [artifact, artifact],
                threads=wanted.threads,
                time_budget=2 * wanted.seconds,
                store=Path(folder) / "store.jsonl",
                seed=number,
            ).results
            ratio = paired_ratio(first, second)
            within += abs(ratio.median - 1) <= BAR
            medians = [each.latency.median / 1e6 for each in (first, second)]
            print(
                f"{number + 1:2}: ratio {ratio.median:.4f} "
                f"[{ratio.ci95.low:.4f}, {ratio.ci95.high:.4f}], {ratio.rounds} rounds in "
                f"{len(first.processes)} processes, stopped by {first.stopped}; "
                f"medians {medians[0]:.3f} and {medians[1]:.3f} ms",
                flush=True,
            )
    print(f"{within} of {wanted.times} within {BAR:.0%}")
    return int(within < wanted.times)


if __name__ == "__main__":
    sys.exit(main())
