"""The phone's cores, for programs that choose among them: this machine may have fewer.

The kernel hands the calls ``sched_setaffinity`` and ``sched_getaffinity`` of every process of the
phone to a thread here (seccomp's user notification), which answers for as many cores as the phone
has. Nothing moves to another core of this machine by it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import threading
from contextlib import suppress
from pathlib import Path

__all__ = ["emulate_cores"]

# The numbers of seccomp, sched_setaffinity and sched_getaffinity, and of the architecture itself.
_CALLS = {"x86_64": (317, 203, 204, 0xC000003E), "aarch64": (277, 122, 123, 0xC00000B7)}

# Of <linux/seccomp.h> and <linux/filter.h>.
_SET_MODE_FILTER, _NEW_LISTENER = 1, 8
_NOTIFY, _ALLOW = 0x7FC00000, 0x7FFF0000
_LOAD, _JUMP_EQUAL, _RETURN = 0x20, 0x15, 0x06
_RECEIVE, _SEND = 0xC0502100, 0xC0182101
_NOTICE = struct.Struct("=QIIiIQ6Q")  # id, thread, flags, call, architecture, address, arguments
_RESPONSE = struct.Struct("=QqiI")  # id, value, error, flags
_INSTRUCTION = struct.Struct("=HBBI")

_MOST_MASK = 1024
_LIBC = ctypes.CDLL(None, use_errno=True)

_Thread = tuple[int, str]  # its number, and when it started: numbers are used again


def emulate_cores(count: int) -> None:
    """Let this process, and all that it starts from now on, see `count` cores to run on.

    Raises
    ------
    OSError
        The kernel does not let it.
    """
    seccomp, set_affinity, get_affinity, architecture = _CALLS[platform.machine()]
    program = b"".join(
        _INSTRUCTION.pack(*each)
        for each in (
            (_LOAD, 0, 0, 4),
            (_JUMP_EQUAL, 0, 3, architecture),
            (_LOAD, 0, 0, 0),
            (_JUMP_EQUAL, 2, 0, set_affinity),
            (_JUMP_EQUAL, 1, 0, get_affinity),
            (_RETURN, 0, 0, _ALLOW),
            (_RETURN, 0, 0, _NOTIFY),
        )
    )
    instructions = ctypes.create_string_buffer(program, len(program))
    length = len(program) // _INSTRUCTION.size
    head = struct.pack("@HxxxxxxP", length, ctypes.addressof(instructions))
    listener = _LIBC.syscall(seccomp, _SET_MODE_FILTER, _NEW_LISTENER, head)
    if listener < 0:
        raise OSError(ctypes.get_errno(), f"seccomp: {os.strerror(ctypes.get_errno())}")
    cores = _Cores(count, set_affinity)
    threading.Thread(target=_serve, args=(listener, cores), daemon=True).start()


def _serve(listener: int, cores: _Cores) -> None:
    while True:
        notice = ctypes.create_string_buffer(_NOTICE.size)
        if _LIBC.ioctl(listener, ctypes.c_ulong(_RECEIVE), notice) != 0:
            continue  # the process that called was killed meanwhile
        number, thread, _, call, _, _, *arguments = _NOTICE.unpack(notice.raw)
        value = cores.answer(call, thread, *arguments[:3])
        error = min(value, 0)
        response = _RESPONSE.pack(number, max(value, 0), error, 0)
        _LIBC.ioctl(listener, ctypes.c_ulong(_SEND), response)


class _Cores:
    """Which cores each thread has chosen."""

    def __init__(self, count: int, set_affinity: int) -> None:
        self._all = (1 << count) - 1
        self._set_affinity = set_affinity
        self._chosen: dict[_Thread, int] = {}

    def answer(self, call: int, caller: int, subject: int, length: int, address: int) -> int:
        """Return what a call returns, or an error's number below zero."""
        length = min(length, _MOST_MASK)
        thread = _thread(subject or caller)
        if thread is None:
            return -errno.ESRCH
        try:
            with Path(f"/proc/{caller}/mem").open("r+b", buffering=0) as memory:
                memory.seek(address)
                if call == self._set_affinity:
                    chosen = int.from_bytes(memory.read(length), "little") & self._all
                    if not chosen:
                        return -errno.EINVAL
                    self._chosen[thread] = chosen
                    return 0
                if length % 8 or length * 8 < self._all.bit_length():
                    return -errno.EINVAL
                memory.write(self._of(thread).to_bytes(8, "little"))
                return 8
        except (OSError, ValueError):
            return -errno.EFAULT

    def _of(self, thread: _Thread) -> int:
        """Return a thread's cores: its own choice, else of its process, else of who started it."""
        number: int | None = thread[0]
        while number:
            found = _thread(number)
            if found in self._chosen:
                return self._chosen[found]
            number = _started_by(number)
        return self._all


def _thread(number: int) -> _Thread | None:
    with suppress(OSError):
        stat = Path(f"/proc/{number}/stat").read_text(errors="replace")
        return number, stat.rpartition(")")[2].split()[19]
    return None


def _started_by(number: int) -> int | None:
    """Return the process of a thread, or of a process, its parent."""
    with suppress(OSError):
        status = Path(f"/proc/{number}/status").read_text(errors="replace")
        fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        process = int(fields["Tgid"])
        return process if process != number else int(fields["PPid"])
    return None
