"""Run the plain vendor scripts, and say how sure a median of paired ratios is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

SCRIPTS = Path(__file__).parent / "vendor"
SUFFIXES = {"executorch": ".pte", "coreml": ".mlpackage", "tflite": ".tflite"}


def run_quietly(*words: str | Path) -> None:
    """Run a Python program with this interpreter; what it prints shows only if it fails."""
    done = subprocess.run(
        [sys.executable, *map(str, words)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(map(str, words))} failed:\n{done.stderr[-2000:]}")


def run_plain(target: str, model: str, folder: Path) -> None:
    """Export `model` with the vendor's plain script."""
    run_quietly(SCRIPTS / f"plain_{target}.py", model, folder / f"plain{SUFFIXES[target]}")


def median_with_interval(values: list[float], seed: int = 0) -> tuple[float, float, float]:
    """Return the median and the ends of its 95 % bootstrap interval."""
    draws = np.random.default_rng(seed).choice(values, (10_000, len(values)))
    low, high = np.percentile(np.median(draws, axis=1), (2.5, 97.5))
    return float(np.median(values)), float(low), float(high)
