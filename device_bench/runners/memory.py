"""Resident memory of this process: now, and its peak.

Linux tells the peak as ``VmHWM`` and lets a process start it again, so that what the imports took
and gave back does not count. macOS and Windows tell the peak since the process began.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import psutil

__all__ = ["peak_bytes", "resident_bytes", "restart_peak"]

_RESTART_VMHWM = "5"  # proc_pid_clear_refs(5)


def resident_bytes() -> int:
    """Return the resident set of this process."""
    return psutil.Process().memory_info().rss


def restart_peak() -> None:
    """Let the peak start again from what is resident now, where the system can."""
    if sys.platform == "linux":
        # Some containers forbid it; the peak then includes that of the imports.
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text(_RESTART_VMHWM)


def peak_bytes() -> int:
    """Return the largest resident set that this process has had."""
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    elif sys.platform == "linux":  # noqa: RET505 - type checkers follow platforms by branches
        status = Path("/proc/self/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    else:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS
