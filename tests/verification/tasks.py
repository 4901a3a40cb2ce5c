"""What a hostile file could make the child of `sandbox` do, and what it may do."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from lightmobile.errors import UsageError

Job = dict[str, Any]


def echo(job: Job) -> Job:
    return {"job": job, "cwd": str(Path.cwd()), "environment": dict(os.environ)}


def refuse(job: Job) -> Job:
    raise UsageError("what\x1b[2J", why="why", fix="fix")


def fail(job: Job) -> Job:
    raise ZeroDivisionError("unexpected")


def hang(job: Job) -> Job:
    """Hold on to the interpreter's lock, so that no thread of Python's can end this."""
    ctypes.PyDLL(None).sleep(600)
    return {}


def crash(job: Job) -> Job:
    ctypes.string_at(0)
    return {}


def leave(job: Job) -> Job:
    os._exit(0)


def allocate(job: Job) -> Job:
    return {"sum": float(np.ones(job["bytes"] // 8).sum())}


def fill_disk(job: Job) -> Job:
    with Path("big").open("wb") as file:
        for _ in range(job["bytes"] >> 20):
            file.write(bytes(1 << 20))
    return {}


def flood(job: Job) -> Job:
    return {"text": "x" * job["bytes"]}


def import_runtimes(job: Job) -> Job:
    import torch
    from executorch.runtime import Runtime

    Runtime.get()
    return {"sum": float(torch.ones(8).sum())}


def start_and_wait(folder: str) -> None:
    """Be a tool that runs a child which hangs, and says which."""
    from lightmobile.export.verification.sandbox import Limits, run_limited

    run_limited(f"{__name__}:tell_and_hang", {"folder": folder}, Limits(600), "x")


def tell_and_hang(job: Job) -> Job:
    Path(job["folder"], "pid").write_text(str(os.getpid()))
    return hang(job)


def spin(job: Job) -> Job:
    while True:
        time.monotonic()


def spawn(job: Job) -> Job:
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(job["folder"], "pid").write_text(str(sleeper.pid))
    return hang(job)
