"""The phone's system: what getprop, settings, dumpsys, cmd, svc, input, ... ask, and its state.

What is put is what is then got, so that a test can tell whether all was restored. The texts are
those of AOSP's services, as the fixture's version of Android prints them.
"""

from __future__ import annotations

import socket
import socketserver
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Answer", "serve_system"]

_SOCKET = "/dev/socket/system"
_HEAD = struct.Struct("=3I")
_MOST_QUESTION = 1 << 20


@dataclass(frozen=True)
class Answer:
    """What a program of the system prints, and its exit status."""

    output: str = ""
    errors: str = ""
    status: int = 0


def serve_system(answer: Callable[[list[str]], Answer]) -> None:
    """Answer the phone's programs from now on, in a thread of its own."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            words = _question(self.request)
            said = answer(words)
            output, errors = (
                text.encode("utf-8", "surrogateescape") for text in (said.output, said.errors)
            )
            with suppress(OSError):
                self.request.sendall(
                    _HEAD.pack(said.status, len(output), len(errors)) + output + errors
                )

    Path(_SOCKET).parent.mkdir(parents=True, exist_ok=True)
    server = socketserver.ThreadingUnixStreamServer(_SOCKET, Handler)
    server.daemon_threads = True
    Path(_SOCKET).chmod(0o666)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def _question(client: socket.socket) -> list[str]:
    data = bytearray()
    while (piece := client.recv(1 << 16)) and len(data) < _MOST_QUESTION:
        data += piece
    return [word.decode("utf-8", "surrogateescape") for word in data.split(b"\0")[:-1]]
