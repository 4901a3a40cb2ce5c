"""Faults, as data: which request, when in its course, and what goes wrong."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass

from tests.phone.wire import Stream, StreamClosed

__all__ = ["Fault", "FaultError", "Faults", "Watch"]

MOMENTS = ("before", "output", "input", "end")
ACTIONS = ("unplug", "hang", "garbage", "cut", "kill", "fail", "exit")

# Neither a line nor UTF-8.
GARBAGE = b'\xff\xfe\x00\x9b31m{"garbage": \x80'


@dataclass(frozen=True)
class Fault:
    r"""Something that goes wrong.

    Attributes
    ----------
    match
        Regular expression, searched in the request: ``shell:<line>``, ``exec:<line>``,
        ``sync:SEND <path>``, ``sync:RECV <path>``, ``sync:STAT <path>``, ``sync:LIST <path>``;
        for what the phone's system is asked, ``system:<words>``, e.g. ``system:settings put``,
        whose actions are ``fail`` and ``hang``.
    action
        - ``unplug``: the connection breaks, and the phone is away (see `back_after_s`);
        - ``hang``: nothing more comes, in neither direction, until the client gives up;
        - ``garbage``: bytes that are no text come in between;
        - ``cut``: the rest of the output is lost; the command's end is told as ever;
        - ``kill``: SIGKILL to the command and all of its session;
        - ``fail``: the request fails with `message` (and `status`);
        - ``exit``: the command is killed, and `status` told as its own.
    at
        ``before`` it begins, after some bytes of its ``output`` or ``input``, or at its ``end``,
        when all was printed and the exit status not yet told.
    after_bytes
        How many bytes of output or input pass.
    nth
        Of the requests that match from now on, which; 0 for each.
    back_after_s
        When an unplugged phone listens again; None for not by itself.
    """

    match: str
    action: str
    at: str = "before"
    after_bytes: int = 0
    nth: int = 1
    back_after_s: float | None = None
    message: str = "Input/output error"
    status: int = 1

    def __post_init__(self) -> None:
        if self.action not in ACTIONS or self.at not in MOMENTS:
            raise ValueError(f"no such fault: {self}")
        if self.action in ("kill", "cut", "garbage") and self.at in ("before", "end"):
            raise ValueError(f"nothing to {self.action} {self.at}: {self}")
        re.compile(self.match)


class FaultError(Exception):
    """The request fails, with the words and the status of a fault."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


class Faults:
    """The faults that were added, and how often each one's requests came."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._seen: list[int] = []
        self._fired = 0

    def add(self, fault: Fault) -> None:
        """Let something go wrong from now on."""
        with self._lock:
            self._faults.append(fault)
            self._seen.append(0)

    def clear(self) -> None:
        """Let nothing go wrong any more."""
        with self._lock:
            self._faults.clear()
            self._seen.clear()

    @property
    def fired(self) -> int:
        """How many faults have happened: a test of a fault checks that it did."""
        return self._fired

    def note_fired(self) -> None:
        """Count a fault that happens."""
        with self._lock:
            self._fired += 1

    def of(self, request: str) -> list[Fault]:
        """Count `request`, and return the faults that are for it."""
        found = []
        with self._lock:
            for index, fault in enumerate(self._faults):
                if re.search(fault.match, request, re.DOTALL):
                    self._seen[index] += 1
                    if fault.nth in (0, self._seen[index]):
                        found.append(fault)
        return found


class Watch:
    """The faults of one request, along its course.

    Parameters
    ----------
    unplug
        Takes the phone away, for some seconds or, for None, for good.
    """

    def __init__(
        self, faults: Faults, request: str, stream: Stream, unplug: Callable[[float | None], None]
    ) -> None:
        self._faults = faults
        self._left = faults.of(request)
        self._stream = stream
        self._unplug = unplug
        self._passed = dict.fromkeys(MOMENTS, 0)
        self._is_cut = False
        # Standard output and errors count together, and neither passes while the other hangs.
        self._locks = {moment: threading.Lock() for moment in MOMENTS}
        #: Ends the command; set once it runs.
        self.kill: Callable[[], None] = lambda: None

    def reach(self, moment: str) -> None:
        """Come to ``before`` or ``end``.

        Raises
        ------
        FaultError
            The request fails here.
        StreamClosed
            The connection broke here.
        """
        for fault in [each for each in self._left if each.at == moment]:
            self._act(fault, lambda data: None)

    def pass_on(self, moment: str, data: bytes, send: Callable[[bytes], None]) -> None:
        """Pass some ``output`` or ``input`` on to `send`, as far as it comes; raises as `reach`."""
        with self._locks[moment]:
            start = self._passed[moment]
            self._passed[moment] += len(data)
            for fault in sorted(self._left, key=lambda each: each.after_bytes):
                if fault.at == moment and start <= fault.after_bytes < start + len(data):
                    self._send(moment, data[: fault.after_bytes - start], send)
                    data, start = data[fault.after_bytes - start :], fault.after_bytes
                    self._act(fault, send)
            self._send(moment, data, send)

    def _send(self, moment: str, data: bytes, send: Callable[[bytes], None]) -> None:
        if data and not (self._is_cut and moment == "output"):
            send(data)

    def _act(self, fault: Fault, send: Callable[[bytes], None]) -> None:
        self._left.remove(fault)
        self._faults.note_fired()
        if fault.action == "unplug":
            self._stream.flush()
            self._unplug(fault.back_after_s)
            raise StreamClosed
        if fault.action == "hang":
            self._stream.flush()
            self._stream.wait_for_close()
            raise StreamClosed
        if fault.action == "garbage":
            send(GARBAGE)
        elif fault.action == "cut":
            self._is_cut = True
        elif fault.action == "kill":
            self.kill()
        else:
            self.kill()
            raise FaultError(fault.message if fault.action == "fail" else "", fault.status)
