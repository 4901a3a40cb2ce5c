"""adb's transport, as a device speaks it: packets, and the streams that they carry.

Written from AOSP's description (packages/modules/adb/protocol.txt): a packet is six 32-bit numbers
(command, two arguments, length and sum of the payload, the command inverted) and a payload. Each
side may have one ``WRTE`` under way in a stream and waits for ``OKAY`` before the next.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress

from tests.phone.auth import SIGNATURE, TOKEN, Auth

__all__ = ["Connection", "Stream", "StreamClosed"]

# From this version on nobody computes the payload's sum.
VERSION = 0x01000001
MOST_PAYLOAD = 2**20
_MOST_HELD = 2**17

_HEAD = struct.Struct("<6I")


def _command(name: bytes) -> int:
    return int.from_bytes(name, "little")


CNXN, AUTH, OPEN, OKAY, WRTE, CLSE = map(
    _command, (b"CNXN", b"AUTH", b"OPEN", b"OKAY", b"WRTE", b"CLSE")
)


class StreamClosed(Exception):  # noqa: N818 - an end, as StopIteration is
    """The client closed the stream, or the connection is gone."""


class Stream:
    """One opened service: a pair of pipes between the client and the device."""

    def __init__(self, connection: Connection, local: int, remote: int) -> None:
        self._connection = connection
        self._local = local
        self._remote = remote
        self._waiting: list[bytes] = []  # one packet at most: the client waits for OKAY
        self._rest = bytearray()
        self._held = bytearray()
        self._closed = False
        self._acknowledged = True
        self._changed = threading.Condition()
        self._callbacks: list[Callable[[], None]] = []

    def on_close(self, callback: Callable[[], None]) -> None:
        """Call `callback` once the client has closed the stream, or the connection is gone."""
        with self._changed:
            if not self._closed:
                self._callbacks.append(callback)
                return
        callback()

    def take(self) -> bytes:
        """Return the next bytes that came, once there are some; none at the end."""
        if self._rest:
            rest, self._rest = self._rest, bytearray()
            return bytes(rest)
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if not self._waiting:
                return b""
            payload = self._waiting.pop()
        with suppress(StreamClosed):
            self._connection.send(OKAY, self._local, self._remote)
        return payload

    def read(self, size: int) -> bytes:
        """Return `size` bytes that came.

        Raises
        ------
        StreamClosed
            Fewer came.
        """
        rest, self._rest = self._rest, bytearray()
        while len(rest) < size:
            piece = self.take()
            if not piece:
                raise StreamClosed
            rest += piece
        data = bytes(rest[:size])
        del rest[:size]
        self._rest = rest
        return data

    def write(self, data: bytes, *, more: bool = False) -> None:
        """Send `data`; where `more` follows at once, perhaps together with it.

        Raises
        ------
        StreamClosed
            There is nobody who would take it.
        """
        self._held += data
        if not more or len(self._held) >= _MOST_HELD:
            self._send_held()

    def flush(self) -> None:
        """Send what was written, and wait until the client has taken it, or is gone."""
        with suppress(StreamClosed):
            self._send_held()
        with self._changed:
            self._changed.wait_for(lambda: self._acknowledged or self._closed)

    def wait_for_close(self) -> None:
        """Wait until the client has closed the stream, or the connection is gone."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed)

    def close(self) -> None:
        """Close the stream from this side, once the client has all that was written."""
        self.flush()
        self._connection.forget(self._local)
        if self._end():
            with suppress(StreamClosed):
                self._connection.send(CLSE, self._local, self._remote)

    def received(self, payload: bytes) -> None:
        """Keep what the client wrote."""
        with self._changed:
            self._waiting.append(payload)
            self._changed.notify_all()

    def acknowledged(self) -> None:
        """Note that the client has taken what was last sent."""
        with self._changed:
            self._acknowledged = True
            self._changed.notify_all()

    def hung_up(self) -> None:
        """Note that the client has closed the stream, or that the connection is gone."""
        self._end()

    def _send_held(self) -> None:
        data, self._held = bytes(self._held), bytearray()
        step = self._connection.most_payload
        for start in range(0, len(data), step):
            with self._changed:
                self._changed.wait_for(lambda: self._acknowledged or self._closed)
                if self._closed:
                    raise StreamClosed
                self._acknowledged = False
            self._connection.send(WRTE, self._local, self._remote, data[start : start + step])

    def _end(self) -> bool:
        with self._changed:
            if self._closed:
                return False
            self._closed = True
            callbacks, self._callbacks = self._callbacks, []
            self._changed.notify_all()
        for callback in callbacks:
            callback()
        return True


class Connection:
    """A client's connection, until :meth:`run` returns.

    Parameters
    ----------
    banner
        What the device says of itself, e.g. ``device::ro.product.model=...;features=...``.
    serve
        Returns what runs the service of a name on a stream; None for one that there is not.
    auth
        Who may connect; None for everybody.
    """

    def __init__(
        self,
        client: socket.socket,
        banner: bytes,
        serve: Callable[[str, Stream], Callable[[], None] | None],
        auth: Auth | None,
    ) -> None:
        self._client = client
        self._banner = banner
        self._serve = serve
        self._auth = auth
        self._streams: dict[int, Stream] = {}
        self._last = 0
        self._sending = threading.Lock()
        self._is_open = auth is None
        self.most_payload = 4096

    def run(self) -> None:
        """Answer the client until the connection ends."""
        try:
            while True:
                head = _HEAD.unpack(self._receive(_HEAD.size))
                if head[5] != head[0] ^ 0xFFFFFFFF or head[3] > MOST_PAYLOAD:
                    return
                self._packet(head[0], head[1], head[2], self._receive(head[3]))
        except (OSError, StreamClosed):
            pass
        finally:
            self.drop()
            for stream in list(self._streams.values()):
                stream.hung_up()

    def drop(self) -> None:
        """Break the connection, as a pulled cable does."""
        with suppress(OSError):
            self._client.shutdown(socket.SHUT_RDWR)
        self._client.close()

    def send(self, command: int, first: int, second: int, payload: bytes = b"") -> None:
        """Send a packet.

        Raises
        ------
        StreamClosed
            The connection is gone.
        """
        head = _HEAD.pack(command, first, second, len(payload), 0, command ^ 0xFFFFFFFF)
        self.send_raw(head + payload)

    def send_raw(self, data: bytes) -> None:
        """Send bytes that need be no packet; raise `StreamClosed` where the connection is gone."""
        try:
            with self._sending:
                self._client.sendall(data)
        except OSError:
            raise StreamClosed from None

    def forget(self, local: int) -> None:
        """Take no more packets for a stream."""
        self._streams.pop(local, None)

    def _packet(self, command: int, first: int, second: int, payload: bytes) -> None:
        if command == CNXN:
            self.most_payload = min(second, MOST_PAYLOAD)
            self._welcome()
        elif command == AUTH and self._auth is not None:
            self._is_open = (
                self._auth.is_signed(payload) if first == SIGNATURE else self._auth.accept(payload)
            )
            if self._is_open or first == SIGNATURE:
                self._welcome()
        elif not self._is_open:
            return
        elif command == OPEN:
            self._open(first, payload.rstrip(b"\0").decode("utf-8", "surrogateescape"))
        elif (stream := self._streams.get(second)) is not None:
            if command == WRTE:
                stream.received(payload)
            elif command == OKAY:
                stream.acknowledged()
            elif command == CLSE:
                self.forget(second)
                stream.hung_up()

    def _welcome(self) -> None:
        if self._is_open:
            self.send(CNXN, VERSION, MOST_PAYLOAD, self._banner)
        elif self._auth is not None:
            self.send(AUTH, TOKEN, 0, self._auth.token())

    def _open(self, remote: int, service: str) -> None:
        self._last += 1
        stream = Stream(self, self._last, remote)
        start = self._serve(service, stream)
        if start is None:
            self.send(CLSE, 0, remote)
            return
        self._streams[self._last] = stream
        self.send(OKAY, self._last, remote)
        threading.Thread(target=start, daemon=True).start()

    def _receive(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            piece = self._client.recv(min(size - len(data), 1 << 18))
            if not piece:
                raise StreamClosed
            data += piece
        return bytes(data)
