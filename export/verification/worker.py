"""The child of `sandbox`: limits itself, does what ``order.json`` says, writes ``reply.json``."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

from lightmobile.errors import InternalError, LightmobileError, VerificationError

__all__ = ["main"]

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38


def main() -> None:
    """Serve one order from the current folder."""
    _end_with_parent()
    order = json.loads(Path("order.json").read_bytes())
    _limit(**order["limits"])
    partial = Path("reply.partial")
    partial.write_text(json.dumps(_serve(order["task"], order["job"])), encoding="utf-8")
    partial.replace("reply.json")
    # The interpreter's own end would run destructors over what a hostile file left in memory.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _serve(task: str, job: dict[str, Any]) -> dict[str, Any]:
    module, _, function = task.partition(":")
    try:
        return {"result": getattr(importlib.import_module(module), function)(job)}
    except LightmobileError as error:
        return {"error": error.to_dict()}
    except MemoryError:
        return {"error": VerificationError("It needs more memory than it may have").to_dict()}
    except Exception as unexpected:  # noqa: BLE001 - the parent has to be told of anything
        import traceback

        traceback.print_exc()
        why = f"{type(unexpected).__name__}: {unexpected}"
        return {"error": InternalError(f"{task} failed", why=why).to_dict()}


def _end_with_parent() -> None:
    def wait() -> None:
        sys.stdin.buffer.read()
        os._exit(1)

    # At once in Python; the kernel's signal also ends a runtime that never returns to it.
    threading.Thread(target=wait, daemon=True).start()
    if sys.platform == "linux":
        import ctypes
        import signal

        control = ctypes.CDLL(None).prctl
        control(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        control(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def _limit(seconds: float, memory_bytes: int, file_bytes: int) -> None:
    if sys.platform != "win32":
        import resource

        for what, amount in (
            (resource.RLIMIT_CPU, int(seconds * (os.cpu_count() or 1)) + 1),
            (resource.RLIMIT_FSIZE, file_bytes),
            (resource.RLIMIT_CORE, 0),
            (resource.RLIMIT_DATA, memory_bytes),
        ):
            hard = resource.getrlimit(what)[1]
            limit = amount if hard == resource.RLIM_INFINITY else min(amount, hard)
            with contextlib.suppress(ValueError, OSError):  # macOS refuses some
                resource.setrlimit(what, (limit, limit))


if __name__ == "__main__":
    main()
