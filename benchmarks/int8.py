"""What int8 costs in accuracy and gains in time: five models at full size on each target.

The weights are untrained, the calibration is the default one. One row a model and target; a table
that is there already is completed, so that a run that was stopped goes on where it ended, and the
figures that need a quiet machine can be added on one.

    python -m benchmarks.int8 [MODEL ...] [--target tflite] [--no-timing] [--time-budget 60]

The committed one is ``benchmarks/results/int8.csv``. Its columns, as far as they need words:

``worst_layers``
    Where a file misses the bar of int8: the three layers whose rounding alone costs most, and the
    SQNR that each leaves, in PyTorch. What follows the global pooling is looked at in TFLite only:
    ExecuTorch finds the ranges there as they come, and Core ML computes in fp16.
``kept_sqnr_db``
    What the file has with those layers kept in floating point.
``ratio``, ``low``, ``high``
    Latency of int8 over that of fp32, interleaved, one thread.
``slowest``
    Where int8 gains less than it should: its dearest kinds of operators, as shares of the latency
    of fp32, profiled after them. LiteRT's package for Python times no operators.
"""

from __future__ import annotations

import argparse
import csv
import re
import sys
import tempfile
from collections import Counter
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lightmobile.device_bench import Result, bench
from lightmobile.device_bench.identity import host_identity
from lightmobile.device_bench.statistics import Ratio, paired_ratio
from lightmobile.errors import LightmobileError
from lightmobile.export import export, read_manifest
from lightmobile.export.calibration import Calibration, CalibrationImages
from lightmobile.export.quantization.layers import LayerError
from lightmobile.export.quantization.sensitivity import layer_errors
from lightmobile.export.verification.metrics import BARS
from lightmobile.models import prepare
from lightmobile.models.photographs import crops
from lightmobile.models.preprocessing import preprocess

MODELS = ("fasternet_t0", "mobilenet_v2", "falconnet", "regnety_400mf", "vanillanet_5")
TARGETS = ("executorch", "coreml", "tflite")
TIMED = ("executorch", "tflite")  # what this host can run
FIELDS = (
    "model",
    "target",
    "sqnr_db",
    "worst_layers",
    "kept_sqnr_db",
    "megabytes",
    "delegated_subgraphs",
    "undelegated",
    "versions",
    "fp32_ms",
    "int8_ms",
    "ratio",
    "low",
    "high",
    "rounds",
    "slowest",
    "processor",
    "int8_instructions",
    "failure",
)
# Of `lightmobile.device_bench.processor`: those that add up products of int8.
INT8_INSTRUCTIONS = ("AVX-512-VNNI", "AVX-VNNI", "AMX-INT8", "DOTPROD", "I8MM")
FASTER = 0.4  # with such instructions; without them only faster
NAMED = 3
IMAGES = 16

Row = dict[str, Any]
Table = dict[tuple[str, str], Row]


def main() -> None:
    """Complete the table, a row at a time."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=MODELS)
    parser.add_argument("--target", default=",".join(TARGETS))
    parser.add_argument("--output", type=Path, default=Path("build/int8.csv"))
    parser.add_argument("--no-timing", action="store_true")
    parser.add_argument("--time-budget", type=float, default=60.0, help="seconds for each row")
    arguments = parser.parse_args()
    table = _read(arguments.output)
    failed = 0
    for model in arguments.models:
        for target in arguments.target.split(","):
            row = table.get((model, target), dict.fromkeys(FIELDS, ""))
            row |= {"model": model, "target": target, "failure": ""}
            budget = None if arguments.no_timing or target not in TIMED else arguments.time_budget
            try:
                _complete(row, budget)
            except LightmobileError as error:
                row["failure"] = f"{error.what}: {error.why}"
                failed += 1
            table[model, target] = row
            _write(arguments.output, table)
            print({key: value for key, value in row.items() if value not in (None, "")}, flush=True)
    if failed:
        print(f"{failed} rows failed", file=sys.stderr)
        sys.exit(3)


def _complete(row: Row, time_budget: float | None) -> None:
    """Add to `row` what it lacks; the latencies where seconds are given."""
    with tempfile.TemporaryDirectory() as folder:
        if not row["sqnr_db"]:
            row |= _accuracy(row["model"], row["target"], Path(folder))
        if time_budget is not None and not row["ratio"]:
            row |= _gain(row["model"], row["target"], Path(folder), time_budget)


def _accuracy(model: str, target: str, folder: Path) -> Row:
    path = _export(model, target, folder)
    manifest = read_manifest(path)
    (placement, *_), versions = manifest.placements, manifest.versions
    row = {
        "sqnr_db": f"{_sqnr_db(path):.1f}",
        "megabytes": round(manifest.file_bytes / 1e6, 2),
        "delegated_subgraphs": placement.delegated_subgraphs,
        "undelegated": _words(placement.undelegated),
        "versions": " ".join(f"{name}=={versions[name]}" for name in sorted(versions)),
    }
    if _sqnr_db(path) < BARS["int8"].sqnr_db:
        worst = _worst_layers(model, target)
        without = _export(model, target, folder / "kept", tuple(error.layer for error in worst))
        row["worst_layers"] = " ".join(f"{error.layer}:{error.sqnr_db:.1f}" for error in worst)
        row["kept_sqnr_db"] = f"{_sqnr_db(without):.1f}"
    return row


def _export(model: str, target: str, folder: Path, keep_fp: tuple[str, ...] = ()) -> Path:
    (artifact,) = export(
        model,
        targets=(target,),
        precision="int8",
        keep_fp=keep_fp,
        min_sqnr=0.0,  # It is to be measured, not judged.
        output_dir=folder,
    )
    return artifact.path


def _sqnr_db(artifact: Path) -> float:
    parity = read_manifest(artifact).parity
    assert parity is not None
    return parity.sqnr_db


def _words(counts: dict[str, int]) -> str:
    return " ".join(f"{name}:{count}" for name, count in counts.items())


def _worst_layers(model: str, target: str) -> list[LayerError]:
    ranking, head = _ranking(model)
    rounded = [error for error in ranking if target == "tflite" or error.layer not in head]
    return rounded[:NAMED]


@cache
def _ranking(model: str) -> tuple[list[LayerError], set[str]]:
    """Return what each layer costs, the dearest first, and which of them are the head's."""
    prepared = prepare(model)
    torch.set_grad_enabled(False)
    facts = prepared.facts
    images = preprocess(crops(IMAGES, facts.input_size), facts.preprocessing)
    calibration = CalibrationImages(Calibration.of(), facts.preprocessing, batch=8)
    errors = layer_errors(prepared.deployed, "int8", images, calibration)
    return errors, _head(prepared.deployed, torch.from_numpy(images[:1]))


def _head(module: nn.Module, image: torch.Tensor) -> set[str]:
    """Return the last layers, as far as they give one number a channel."""
    called: list[tuple[str, torch.Size]] = []
    hooks = [
        layer.register_forward_hook(
            lambda _, __, output, name=name: called.append((name, output.shape))
        )
        for name, layer in module.named_modules()
        if not any(layer.children())
    ]
    module(image)
    for hook in hooks:
        hook.remove()
    last = takewhile(lambda call: call[1][2:].numel() == 1, reversed(called))
    return {name for name, _ in last}


def _gain(model: str, target: str, folder: Path, seconds: float) -> Row:
    quantized = _export(model, target, folder)
    (plain,) = export(model, targets=(target,), precision="fp32", output_dir=folder)
    store = folder / "store.jsonl"
    report = bench(
        [quantized, plain.path], threads=1, time_budget=seconds, store=store, profile=True
    )
    int8, fp32 = report.results
    ratio, host = paired_ratio(int8, fp32), host_identity()
    helpful = [name for name in INT8_INSTRUCTIONS if name in host.instruction_sets]
    return {
        "fp32_ms": f"{fp32.latency.median / 1e6:.3f}",
        "int8_ms": f"{int8.latency.median / 1e6:.3f}",
        "ratio": f"{ratio.median:.3f}",
        "low": f"{ratio.ci95.low:.3f}",
        "high": f"{ratio.ci95.high:.3f}",
        "rounds": ratio.rounds,
        "slowest": "" if _is_fast(ratio, bool(helpful)) else _slowest(int8, fp32),
        "processor": host.processor,
        "int8_instructions": " ".join(helpful),
    }


def _is_fast(ratio: Ratio, helpful: bool) -> bool:
    assert ratio.ci95.high is not None
    return ratio.median <= FASTER if helpful else ratio.ci95.high < 1


def _slowest(int8: Result, fp32: Result) -> str:
    """Return the dearest kinds of operators of `int8`, in shares of the time of `fp32`."""
    whole = sum(operator["median_ms"] for operator in fp32.operators)
    kinds: Counter[str] = Counter()
    for operator in int8.operators:
        kinds[re.sub(r" #\d+$", "", operator["name"])] += operator["median_ms"] / whole
    return "; ".join(f"{kind} {share:.2f}" for kind, share in kinds.most_common(NAMED))


def _read(path: Path) -> Table:
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        return {(row["model"], row["target"]): row for row in csv.DictReader(file)}


def _write(path: Path, table: Table) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = path.with_suffix(".part")
    with whole.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(table.values())
    whole.replace(path)


if __name__ == "__main__":
    main()
