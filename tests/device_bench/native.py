"""The native runners, built from their sources once, and again only where these changed."""

from __future__ import annotations

import subprocess
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from lightmobile.device_bench.file_lock import locked

__all__ = ["PROGRAMS", "SOURCES", "build", "build_here", "command"]

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "device_bench" / "runners" / "native"
PROGRAMS = {"executorch": "executorch_runner", "tflite": "litert_runner"}

_TIMEOUT_S = 600.0


def command(runtime: str) -> list[str]:
    """Return the words that start the runner of `runtime`, built for this machine."""
    return [str(_built_once() / PROGRAMS[runtime])]


def build_here() -> Path:
    """Build the runners for this machine, where need be; return their folder."""
    folder = ROOT / "build" / "runners"
    executorch, litert = _package("executorch"), _package("ai_edge_litert")
    build(folder, executorch, litert, f"{executorch / 'lib'};{litert}")
    return folder


def build(folder: Path, executorch: Path, litert: Path, rpath: str, *options: str) -> None:
    """Build the runners into `folder`.

    Parameters
    ----------
    executorch, litert
        Folders ``executorch`` and ``ai_edge_litert`` of their wheels.
    rpath
        Where the wheels' libraries lie at run time, with semicolons between.
    options
        More of CMake's.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock, locked(lock.fileno()):
        _run(
            *("cmake", "-S", str(SOURCES), "-B", str(folder), "-DCMAKE_BUILD_TYPE=Release"),
            f"-DEXECUTORCH_WHEEL={executorch}",
            f"-DEXECUTORCH_VERSION={version('executorch')}",
            f"-DLITERT_WHEEL={litert}",
            f"-DLITERT_VERSION={version('ai-edge-litert')}",
            f"-DLIGHTMOBILE_RPATH={rpath}",
            *options,
        )
        _run("cmake", "--build", str(folder), "--parallel", "2")


@cache
def _built_once() -> Path:
    return build_here()


def _package(name: str) -> Path:
    found = find_spec(name)
    assert found is not None
    assert found.submodule_search_locations is not None
    return Path(found.submodule_search_locations[0])


def _run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
