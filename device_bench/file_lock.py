"""A lock on an open file, so that two processes do not write it at once."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["locked"]

if sys.platform == "win32":
    import msvcrt
    import os

    # Windows forbids others to read what is locked: lock a byte that no file reaches.
    _FAR = 1 << 40

    @contextmanager
    def locked(descriptor: int) -> Iterator[None]:
        """Hold the file for this process alone; waits (10 s on Windows) for its turn."""
        os.lseek(descriptor, _FAR, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)
        try:
            yield
        finally:
            os.lseek(descriptor, _FAR, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    @contextmanager
    def locked(descriptor: int) -> Iterator[None]:
        """Hold the file for this process alone; waits for its turn."""
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)
