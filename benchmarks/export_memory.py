"""Peak memory of each target's process in an export, against the plain vendor script.

Bar: no more than 15 % above, verification included. Linux and macOS.

    python -m benchmarks.export_memory [--models fasternet_t0 fasternet_l]
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.plain import SUFFIXES, run_plain

BAR_RATIO = 1.15


def main() -> None:
    """Measure, and print each figure beside its bar."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["fasternet_t0", "fasternet_l"])
    arguments = parser.parse_args()
    for model in arguments.models:
        for target in SUFFIXES:
            with tempfile.TemporaryDirectory() as folder:
                plain = _peak_of_children(run_plain, target, model, Path(folder))
                ours = _peak_of_children(_export, target, model, Path(folder))
            told = f"plain {plain >> 20} MiB, ours {ours >> 20} MiB"
            print(
                f"{model} {target}: {told}, ratio {ours / plain:.3f}, bar {BAR_RATIO}", flush=True
            )


def _export(target: str, model: str, folder: Path) -> None:
    from lightmobile.export import export

    export(model, targets=(target,), output_dir=folder, use_cache=False)


def _peak_of_children(work: Callable[..., None], *arguments: Any) -> int:
    """Return the peak resident bytes of the largest process that `work` starts."""
    # A process of its own for each: the kernel's figure is of all children so far.
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return int(pool.apply(_measure, (work, *arguments)))


def _measure(work: Callable[..., None], *arguments: Any) -> int:
    work(*arguments)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    main()
