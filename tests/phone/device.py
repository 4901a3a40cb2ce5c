"""The process that is a test phone: its adbd, and its system.

``python -m tests.phone.device ROOT PHONE.json`` runs as root of a phone's namespaces, with the
phone's root as its own. It is told what to do by lines of JSON on its standard input, e.g.
``{"do": "unplug", "with": {}}``, and answers each with one; where that ends, so does it.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.phone.affinity import emulate_cores
from tests.phone.android import Android
from tests.phone.auth import Auth
from tests.phone.faults import Fault, Faults, Watch
from tests.phone.fixture import Fixture, fixture_of
from tests.phone.mounts import SHELL_USER, enter_root, has_users
from tests.phone.shell import run_command
from tests.phone.sync import serve_files
from tests.phone.system import Answer, serve_system
from tests.phone.wire import Connection, Stream, StreamClosed

__all__ = ["Device"]

# log, input, adb, sdcard_rw, net_bt, inet, ..., as adbd gives them to its shells.
_GROUPS = [1004, 1007, 1011, 1015, 1028, 3001, 3002, 3003, 3006]


class Device:
    """A phone: what it is, and what its connections do to it."""

    def __init__(self, fixture: Fixture) -> None:
        self._fixture = fixture
        self.android = Android(fixture)
        self.faults = Faults()
        self._log: list[tuple[str, str]] = []
        self._listener: socket.socket | None = None
        self._connections: set[Connection] = set()
        self._port = 0
        self._auth: Auth | None = None
        self._answers = True
        self._lock = threading.RLock()
        serve_system(self._answer)

    # What the test asks for; see the class Phone.

    def plug(self) -> int:
        """Listen for connections, on the same port as before; return it."""
        with self._lock:
            if self._listener is None:
                self._listener = socket.create_server(("127.0.0.1", self._port))
                self._port = self._listener.getsockname()[1]
                threading.Thread(target=self._listen, args=(self._listener,), daemon=True).start()
            return self._port

    def unplug(self, back_after_s: float | None = None) -> None:
        """Break every connection, and take no more; for good, or for some seconds."""
        with self._lock:
            if self._listener is not None:
                # A thread that waits in accept() would hold the port.
                with suppress(OSError):
                    self._listener.shutdown(socket.SHUT_RDWR)
                self._listener.close()
                self._listener = None
            for connection in self._connections:
                connection.drop()
        if back_after_s is not None:
            threading.Timer(back_after_s, self.plug).start()

    def set_access(self, access: str) -> None:
        """Be ``open``, ask for a key that the user ``accepts`` or ``refuses``, or be ``silent``."""
        self._answers = access != "silent"
        asks = access in ("accepts", "refuses")
        self._auth = Auth(user_accepts=access == "accepts") if asks else None

    def add_fault(self, **fault: Any) -> None:
        """Let something go wrong; see `Fault`."""
        self.faults.add(Fault(**fault))

    def clear_faults(self) -> None:
        """Let nothing more go wrong."""
        self.faults.clear()

    def fired(self) -> int:
        """Return how many faults have happened."""
        return self.faults.fired

    def heat(self, steps: list[dict[str, float]]) -> None:
        """Change how warm the phone is; see `Android.heat`."""
        self.android.heat(steps)

    def state(self) -> dict[str, Any]:
        """Return what of the phone's system can be set."""
        return self.android.state()

    def reset(self) -> None:
        """Forget the log and all faults."""
        with self._lock:
            self._log.clear()
            self.faults = Faults()

    def log(self) -> list[tuple[str, str]]:
        """Return all requests that came."""
        with self._lock:
            return list(self._log)

    def processes(self) -> list[dict[str, Any]]:
        """Return the processes that run on the phone, but for those of the test itself."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                words = (folder / "cmdline").read_bytes().split(b"\0")[:-1]
                state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
                pid = int(folder.name)
                if pid not in (1, os.getpid()) and state != "Z":
                    argv = [os.fsdecode(word) for word in words]
                    found.append({"pid": pid, "argv": argv, "state": state})
        return sorted(found, key=lambda each: each["pid"])

    def pid(self) -> int:
        """Return this process's number, in its own namespace."""
        return os.getpid()

    # What adb asks for.

    def _listen(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._connected, args=(client,), daemon=True).start()

    def _connected(self, client: socket.socket) -> None:
        if not self._answers:
            with suppress(OSError):
                while client.recv(1 << 16):
                    pass
            return
        connection = Connection(client, self._banner(), self._serve, self._auth)
        with self._lock:
            self._connections.add(connection)
            if self._listener is None:
                connection.drop()
        connection.run()
        with self._lock:
            self._connections.discard(connection)

    def _banner(self) -> bytes:
        names = ("ro.product.name", "ro.product.model", "ro.product.device")
        told = "".join(f"{name}={self.android.properties[name]};" for name in names)
        return f"device::{told}features={','.join(self._fixture.adb_features)}".encode()

    def _serve(self, service: str, stream: Stream) -> Callable[[], None] | None:
        name, colon, words = service.partition(":")
        kind, *options = name.split(",")
        if not colon or kind not in ("shell", "exec", "sync"):
            self._note("refused", service)
            return None

        def serve() -> None:
            try:
                if kind == "sync":
                    _be_shell_user()
                    serve_files(stream, lambda request: self._begin("sync", request, stream))
                else:
                    watch = self._begin(kind, words, stream)
                    user = _shell_user()
                    run_command(words, stream, watch, user, framed="v2" in options)
            except StreamClosed:
                pass
            finally:
                stream.close()

        return serve

    def _begin(self, kind: str, text: str, stream: Stream) -> Watch:
        self._note(kind, text)
        return Watch(self.faults, f"{kind}:{text}", stream, self.unplug)

    def _note(self, kind: str, text: str) -> None:
        with self._lock:
            self._log.append((kind, text))

    def _answer(self, words: list[str]) -> Answer:
        line = " ".join(words)
        self._note("system", line)
        for fault in self.faults.of(f"system:{line}"):
            self.faults.note_fired()
            if fault.action == "fail":
                return Answer("", f"{fault.message}\n", fault.status)
            if fault.action == "unplug":
                self.unplug(fault.back_after_s)
            else:
                threading.Event().wait()
        return self.android.answer(words)


def _shell_user() -> dict[str, Any]:
    if not has_users():
        return {}
    return {"user": SHELL_USER, "group": SHELL_USER, "extra_groups": _GROUPS}


def _be_shell_user() -> None:
    """Let this thread, and no other, open files as the shell's user."""
    if has_users():
        _LIBC.setfsgid(SHELL_USER)
        _LIBC.setfsuid(SHELL_USER)


def main(root: str, told: str) -> None:
    """Be the phone that a file of JSON tells, until standard input ends."""
    values = json.loads(Path(told).read_text(encoding="utf-8"))
    fixture = fixture_of(values["fixture"])
    enter_root(Path(root), Path(values["image"]), fixture, noexec=values["noexec"])
    emulate_cores(len(fixture.cluster_of_cores()))
    device = Device(fixture)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            said = {"said": getattr(device, request["do"])(**request["with"])}
        except Exception as error:  # noqa: BLE001 - the test's own mistake is the test's to see
            said = {"error": f"{type(error).__name__}: {error}\n{traceback.format_exc()}"}
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()
    device.unplug()
    # Threads wait for processes, which end with this process's namespace.
    os._exit(0)


_LIBC = ctypes.CDLL(None, use_errno=True)

if __name__ == "__main__":
    main(*sys.argv[1:])
