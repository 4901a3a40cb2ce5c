"""Latency of FasterNet's .pte with PConv as slices against PConv as ``torch.split``.

The split form cuts XNNPACK's graph into pieces, 14 for FasterNet-T0; the slices leave one. Both
artifacts compute the same bits and run in live processes that alternate in short slices. Bar: the
interval of the ratio, slices to split, does not lie above 1.00.

    python -m benchmarks.delegation [--model fasternet_t0] [--time-budget 120]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from lightmobile.device_bench import bench
from lightmobile.device_bench.statistics import paired_ratio
from lightmobile.export import export, read_manifest


def main() -> None:
    """Measure, and print each figure beside its bar."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="fasternet_t0")
    parser.add_argument("--time-budget", type=float, default=120.0)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = [_export(arguments.model, form, folder) for form in ("slicing", "split_cat")]
        report = bench(
            paths,
            threads=arguments.threads,
            time_budget=arguments.time_budget,
            store=folder / "store.jsonl",
        )
    ratio = paired_ratio(*report.results)
    for result in report.results:
        print(f"{result.to_dict()['latency_ms']}")
    print(f"slicing / split_cat: {ratio}")


def _export(model: str, form: str, folder: Path) -> Path:
    (artifact,) = export(
        model, targets=("executorch",), overrides={"pconv": form}, output_dir=folder / form
    )
    (placement,) = read_manifest(artifact.path).placements
    print(f"{form}: {placement.delegated_subgraphs} delegated subgraphs")
    return artifact.path


if __name__ == "__main__":
    main()
