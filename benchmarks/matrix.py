"""The zoo's matrix: every model at full size, exported to every target and verified.

One row a model and target, in a CSV file that is written as it grows: a run that was stopped goes
on where it ended, and ``--again`` starts anew. A model that fails is a row that says why, and the
run then ends with exit code 3.

    python -m benchmarks.matrix ["fasternet*" ...] [--output build/matrix.csv] [--again]

The committed one is ``benchmarks/results/matrix.csv``. Sizes, placement and parity repeat; the
seconds are for planning only, taken on a machine that does other things too.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lightmobile.errors import LightmobileError
from lightmobile.export import export, read_manifest
from lightmobile.models import complexity, list_models

# All of ours, and the baseline that comes over the bridge.
EVERYTHING = ("*", "timm:swin_tiny_patch4_window7_224")
TARGETS = ("executorch", "coreml", "tflite")
FIELDS = (
    "model",
    "target",
    "backend",
    "precision",
    "megabytes",
    "rel_l2",
    "sqnr_db",
    "top1_agreement",
    "training_rel_l2",
    "delegated_subgraphs",
    "undelegated",
    "seconds",
    "versions",
    "failure",
)


def main() -> None:
    """Export what the table lacks, the cheapest models first."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("patterns", nargs="*", default=EVERYTHING)
    parser.add_argument("--output", type=Path, default=Path("build/matrix.csv"))
    parser.add_argument("--again", action="store_true")
    arguments = parser.parse_args()
    table = arguments.output
    if arguments.again:
        table.unlink(missing_ok=True)
    names = {name for pattern in arguments.patterns for name in list_models(pattern)}
    done = {row["model"] for row in _read(table)}
    for name in sorted(names - done, key=lambda name: complexity(name).macs):
        for row in _rows(name):
            _append(table, row)
            print({key: value for key, value in row.items() if value not in (None, "")}, flush=True)
    if failed := [row for row in _read(table) if row["failure"] and row["model"] in names]:
        print(f"{len(failed)} rows failed", file=sys.stderr)
        sys.exit(3)


def _rows(model: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of one model; nothing of its exports stays on the disk."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LIGHTMOBILE_CACHE"] = f"{folder}/cache"
        failures = _export(model, folder)
        seconds = round(time.perf_counter() - started)
        for target in TARGETS:
            row = dict.fromkeys(FIELDS, "") | {"model": model, "target": target}
            if failure := failures.get(target):
                yield row | {"failure": failure}
            else:
                (artifact,) = export(model, targets=(target,), output_dir=f"{folder}/out")
                yield row | _figures(artifact.path) | {"seconds": seconds}


def _export(model: str, folder: str) -> dict[str, str]:
    """Export to all targets side by side; return what went wrong, by target."""
    failures = {}
    try:
        export(model, targets=TARGETS, output_dir=f"{folder}/out")
    except LightmobileError:
        # One error speaks for all; the others' artifacts are in the cache.
        for target in TARGETS:
            try:
                export(model, targets=(target,), output_dir=f"{folder}/out")
            except LightmobileError as error:
                failures[target] = f"{error.what}: {error.why}"
    return failures


def _figures(artifact: Path) -> dict[str, Any]:
    manifest = read_manifest(artifact)
    parity, placement = manifest.parity, manifest.placements[0]
    assert parity is not None
    # Core ML and LiteRT place operators when they load the file.
    delegates = manifest.target == "executorch"
    undelegated = placement.undelegated if delegates else {}
    versions = manifest.versions
    return {
        "backend": manifest.backend,
        "precision": manifest.precision,
        "megabytes": round(manifest.file_bytes / 1e6, 2),
        "rel_l2": f"{parity.rel_l2:.2g}",
        "sqnr_db": f"{parity.sqnr_db:.1f}",
        "top1_agreement": parity.top1_agreement,
        "training_rel_l2": f"{parity.training_rel_l2:.2g}",
        "delegated_subgraphs": placement.delegated_subgraphs if delegates else "",
        "undelegated": " ".join(f"{name}:{count}" for name, count in undelegated.items()),
        "versions": " ".join(f"{name}=={versions[name]}" for name in sorted(versions)),
    }


def _read(table: Path) -> list[dict[str, str]]:
    if not table.exists():
        return []
    with table.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _append(table: Path, row: dict[str, Any]) -> None:
    table.parent.mkdir(parents=True, exist_ok=True)
    new = not table.exists()
    with table.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(row)


if __name__ == "__main__":
    main()
