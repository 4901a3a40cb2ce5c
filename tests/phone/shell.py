"""The services ``shell:`` and ``exec:``: a command of the phone's shell, over a stream.

As adbd does it (shell_service.cpp): the command has a session of its own; its standard input and
output are one socket; when the client hangs up, it gets SIGHUP and its pipes end, and that is all.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.phone.faults import FaultError, Watch
from tests.phone.wire import Stream, StreamClosed

__all__ = ["run_command"]

# Packets of the shell protocol (shell_protocol.h).
STDIN, STDOUT, STDERR, EXIT, CLOSE_STDIN, WINDOW_SIZE = range(6)
_HEAD = struct.Struct("<BI")
_PIECE = 32 * 1024

_ENVIRONMENT = {
    "PATH": "/product/bin:/apex/com.android.runtime/bin:/system/bin:/system/xbin:/vendor/bin",
    "ANDROID_ROOT": "/system",
    "ANDROID_DATA": "/data",
    "EXTERNAL_STORAGE": "/sdcard",
    "HOME": "/",
    "HOSTNAME": "localhost",
    "LOGNAME": "shell",
    "USER": "shell",
    "SHELL": "/bin/sh",
    "TERM": "dumb",
    "TMPDIR": "/data/local/tmp",
}


def run_command(
    line: str, stream: Stream, watch: Watch, user: dict[str, object], *, framed: bool
) -> None:
    """Run `line`, until it has ended and closed its output, or the client hung up.

    Parameters
    ----------
    user
        Who runs it: the arguments `user`, `group` and `extra_groups` of a process.
    framed
        Whether both sides speak the shell protocol, ``shell,v2``.
    """
    sender = _Sender(stream, watch, framed=framed)
    try:
        watch.reach("before")
        with _started(line, stream, user, framed=framed) as command:
            watch.kill = command.kill
            threading.Thread(
                target=_feed, args=(stream, watch, command, framed), daemon=True
            ).start()
            status = command.pump(sender)
        watch.reach("end")
    except FaultError as error:
        sender.send(STDERR, f"{error.message}\n".encode() if error.message else b"")
        status = error.status
    if framed:
        stream.write(_HEAD.pack(EXIT, 1) + bytes([status]))


class _Sender:
    """What a command prints, on its way to the client."""

    def __init__(self, stream: Stream, watch: Watch, *, framed: bool) -> None:
        self._stream = stream
        self._watch = watch
        self._framed = framed

    def print(self, kind: int, data: bytes) -> None:
        """Pass on what was printed, as far as faults let it."""
        self._watch.pass_on("output", data, lambda piece: self.send(kind, piece))

    def send(self, kind: int, data: bytes) -> None:
        """Send what was printed."""
        if data:
            self._stream.write(_HEAD.pack(kind, len(data)) + data if self._framed else data)


class _Command:
    """A shell that runs a line, and this side's ends of its pipes."""

    def __init__(self, line: str, user: dict[str, object], *, framed: bool) -> None:
        self.pipe, theirs = socket.socketpair()
        self.errors, their_errors = socket.socketpair()
        self._process = subprocess.Popen(
            # A line need not be text in any encoding.
            [b"/system/bin/sh", b"-c", line.encode("utf-8", "surrogateescape")],
            stdin=theirs,
            stdout=theirs,
            stderr=their_errors if framed else theirs,
            cwd="/",
            env=_ENVIRONMENT,
            start_new_session=True,
            umask=0,
            **user,  # type: ignore[call-overload]
        )
        theirs.close()
        their_errors.close()
        self._failure: FaultError | StreamClosed | None = None

    def kill(self) -> None:
        """Kill the command and what it started in its session."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def hang_up(self) -> None:
        """Do what adbd does when the client is gone."""
        self._process.send_signal(signal.SIGHUP)
        self.close()

    def fail(self, failure: FaultError | StreamClosed) -> None:
        """End the output, for :meth:`pump` to raise `failure`."""
        self._failure = failure
        self.close()

    def close(self) -> None:
        """End the command's standard streams."""
        for each in (self.pipe, self.errors):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def pump(self, sender: _Sender) -> int:
        """Pass on what is printed, until both outputs end; return the exit status."""
        errors = threading.Thread(
            target=self._pump, args=(self.errors, STDERR, sender), daemon=True
        )
        errors.start()
        self._pump(self.pipe, STDOUT, sender)
        errors.join()
        if self._failure is not None:
            raise self._failure
        status = int(self._process.wait())
        return status if status >= 0 else 128 - status

    def _pump(self, pipe: socket.socket, kind: int, sender: _Sender) -> None:
        try:
            for piece in _pieces(pipe):
                sender.print(kind, piece)
        except (FaultError, StreamClosed) as error:
            self.fail(error)


@contextmanager
def _started(
    line: str, stream: Stream, user: dict[str, object], *, framed: bool
) -> Iterator[_Command]:
    command = _Command(line, user, framed=framed)
    stream.on_close(command.hang_up)
    try:
        yield command
    finally:
        command.close()
        for each in (command.pipe, command.errors):
            each.close()


def _pieces(pipe: socket.socket) -> Iterator[bytes]:
    with suppress(OSError):
        while piece := pipe.recv(_PIECE):
            yield piece


def _feed(stream: Stream, watch: Watch, command: _Command, framed: bool) -> None:
    """Pass on what the client sends to the command, until either ends."""
    try:
        for kind, data in _packets(stream) if framed else _plain(stream):
            if kind == STDIN:
                watch.pass_on("input", data, command.pipe.sendall)
            elif kind == CLOSE_STDIN:
                command.pipe.shutdown(socket.SHUT_WR)
    except (OSError, StreamClosed):
        pass  # it closed its standard input, or has ended
    except FaultError as error:
        command.fail(error)


def _packets(stream: Stream) -> Iterator[tuple[int, bytes]]:
    with suppress(StreamClosed):
        while True:
            kind, length = _HEAD.unpack(stream.read(_HEAD.size))
            yield kind, stream.read(length)


def _plain(stream: Stream) -> Iterator[tuple[int, bytes]]:
    while data := stream.take():
        yield STDIN, data
