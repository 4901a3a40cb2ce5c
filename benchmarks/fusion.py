"""What fusing is worth: latency of the deployed form's file against the training form's.

Both are lowered from the same weights by the same exporter, which folds norms by itself where it
can; what is left is what only `fuse` does: merging branches and pairs of convolutions. The two
files run in live processes that alternate in short slices, and ratios are taken round by round.
A ratio below 1 means that the deployed form is faster.

    python -m benchmarks.fusion [MODEL ...] [--runtime executorch,tflite] [--time-budget 60]
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from lightmobile.device_bench import bench
from lightmobile.device_bench.identity import host_identity
from lightmobile.device_bench.statistics import paired_ratio
from lightmobile.export import ExportSpec, export, lower, read_manifest
from lightmobile.export.artifact import sha256_of, size_of
from lightmobile.export.manifest import manifest_path
from lightmobile.export.verification.engines import answer, open_engines
from lightmobile.models import prepare

MODELS = ("vanillanet_5", "falconnet", "hetconv_vgg16_p4", "hetconv_resnet50_p4")
FIELDS = (
    "model",
    "runtime",
    "training_ms",
    "fused_ms",
    "ratio",
    "low",
    "high",
    "rounds",
    "processor",
)


def main() -> None:
    """Measure each model on each runtime, and write a row for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=MODELS)
    parser.add_argument("--runtime", default="executorch,tflite")
    parser.add_argument("--time-budget", type=float, default=60.0)
    parser.add_argument("--output", type=Path, default=Path("build/fusion.csv"))
    arguments = parser.parse_args()
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    with arguments.output.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        for model in arguments.models:
            for runtime in arguments.runtime.split(","):
                row = _measure(model, runtime, arguments.time_budget)
                writer.writerow(row)
                file.flush()
                print(row, flush=True)


def _measure(model: str, runtime: str, seconds: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (fused,) = export(model, targets=(runtime,), output_dir=folder / "fused")
        training = _training_form(model, runtime, fused.path, folder)
        store = folder / "store.jsonl"
        report = bench([fused.path, training], threads=1, time_budget=seconds, store=store)
    ratio = paired_ratio(*report.results)
    fused_ms, training_ms = (result.latency.median / 1e6 for result in report.results)
    return {
        "model": model,
        "runtime": runtime,
        "training_ms": f"{training_ms:.3f}",
        "fused_ms": f"{fused_ms:.3f}",
        "ratio": f"{ratio.median:.3f}",
        "low": f"{ratio.ci95.low:.3f}",
        "high": f"{ratio.ci95.high:.3f}",
        "rounds": ratio.rounds,
        "processor": host_identity().processor,
    }


def _training_form(model: str, runtime: str, fused: Path, folder: Path) -> Path:
    """Lower the training form beside the manifest of `fused`, and see that both answer alike."""
    manifest = read_manifest(fused)
    path = folder / fused.name
    spec = ExportSpec(runtime)
    lowered = lower(prepare(model).training, spec, path, input_size=manifest.input_size)
    own = {
        "inputs": lowered.inputs,
        "outputs": lowered.outputs,
        "placements": lowered.placements,
        "file_sha256": sha256_of(path),
        "file_bytes": size_of(path),
        "parity": None,
    }
    manifest_path(path).write_text(manifest.model_copy(update=own).to_json(), encoding="utf-8")
    image = np.random.default_rng(0).standard_normal((1, 3, *manifest.input_size), np.float32)
    answers = [
        answer(open_engines(file, read_manifest(file))[0], file, image, manifest.layout)[0]
        for file in (fused, path)
    ]
    np.testing.assert_allclose(answers[1], answers[0], rtol=1e-3, atol=1e-3)
    return path


if __name__ == "__main__":
    main()
