"""The service ``sync:``: files to and from the phone, and what lies in a folder.

As adbd does it (file_sync_service.cpp), in its first version of sending and receiving; every file
is opened as the phone's shell user, by the phone's own root.
"""

# A phone's paths stay as they came, which Path would tidy up.
# ruff: noqa: PTH103, PTH108, PTH116, PTH118, PTH120, PTH123, PTH208, PTH211

from __future__ import annotations

import errno
import os
import stat
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from io import FileIO

from tests.phone.faults import FaultError, Watch
from tests.phone.wire import Stream, StreamClosed

__all__ = ["serve_files"]

_REQUEST = struct.Struct("<4sI")
_STAT_1 = struct.Struct("<4s3I")
_STAT_2 = struct.Struct("<4sIQQIIIIQqqq")
_ENTRY_1 = struct.Struct("<4s4I")
_ENTRY_2 = struct.Struct("<4sIQQIIIIQqqqI")
_PIECE = 64 * 1024
_MOST_NAME = 1024


def serve_files(stream: Stream, begin: Callable[[str], Watch]) -> None:
    """Answer requests until the client quits.

    Parameters
    ----------
    begin
        Notes a request, e.g. ``SEND /data/local/tmp/x``, and returns the faults that are for it.
    """
    while True:
        name, length = _REQUEST.unpack(stream.read(_REQUEST.size))
        if name == b"QUIT":
            return
        if length > _MOST_NAME or name not in _SERVICES:
            _fail(stream, f"unknown command {os.fsdecode(name)}")
            return
        path = os.fsdecode(stream.read(length))
        subject = path.rpartition(",")[0] if name == b"SEND" else path
        watch = begin(f"{name.decode()} {subject}")
        try:
            _SERVICES[name](stream, path, watch)
        except FaultError as error:
            _fail(stream, error.message)


def _fail(stream: Stream, message: str) -> None:
    data = os.fsencode(message)
    stream.write(_REQUEST.pack(b"FAIL", len(data)) + data)


def _stat_1(stream: Stream, path: str, watch: Watch) -> None:
    watch.reach("before")
    try:
        found = os.lstat(path)
        fields = (found.st_mode, found.st_size & 0xFFFFFFFF, int(found.st_mtime) & 0xFFFFFFFF)
    except (OSError, ValueError):
        fields = (0, 0, 0)
    stream.write(_STAT_1.pack(b"STAT", *fields))


def _stat_2(name: bytes) -> Callable[[Stream, str, Watch], None]:
    def answer(stream: Stream, path: str, watch: Watch) -> None:
        watch.reach("before")
        stream.write(_STAT_2.pack(name, *_fields_2(path, follow=name == b"STA2")))

    return answer


def _fields_2(path: str, *, follow: bool) -> tuple[int, ...]:
    try:
        found = os.stat(path, follow_symlinks=follow)
    except OSError as error:
        return (error.errno or errno.EIO, *[0] * 10)
    times = (int(found.st_atime), int(found.st_mtime), int(found.st_ctime))
    owner = (found.st_mode, found.st_nlink, found.st_uid, found.st_gid)
    return (0, found.st_dev, found.st_ino, *owner, found.st_size, *times)


def _list_1(stream: Stream, path: str, watch: Watch) -> None:
    watch.reach("before")
    for name in _names(path):
        with suppress(OSError):
            found = os.lstat(os.path.join(path, name))
            fields = (found.st_mode, found.st_size & 0xFFFFFFFF, int(found.st_mtime))
            data = os.fsencode(name)
            entry = _ENTRY_1.pack(b"DENT", *fields, len(data)) + data
            watch.pass_on("output", entry, partial(stream.write, more=True))
    stream.write(_ENTRY_1.pack(b"DONE", *[0] * 4))


def _list_2(stream: Stream, path: str, watch: Watch) -> None:
    watch.reach("before")
    for name in _names(path):
        fields = _fields_2(os.path.join(path, name), follow=False)
        data = os.fsencode(name)
        entry = _ENTRY_2.pack(b"DNT2", *fields, len(data)) + data
        watch.pass_on("output", entry, partial(stream.write, more=True))
    stream.write(_ENTRY_2.pack(b"DONE", *[0] * 12))


def _names(path: str) -> list[str]:
    try:
        return [".", "..", *sorted(os.listdir(path))]
    except OSError:
        return []  # adbd lists nothing where it may not look


def _receive(stream: Stream, path: str, watch: Watch) -> None:
    """Answer ``RECV``: send the file `path`."""
    watch.reach("before")

    def send(data: bytes) -> None:
        stream.write(_REQUEST.pack(b"DATA", len(data)) + data, more=True)

    try:
        with _saying("open failed"), open(path, "rb", buffering=0) as file:
            while piece := file.read(_PIECE):
                watch.pass_on("output", piece, send)
    except OSError as error:
        _fail(stream, _words(error))
        return
    watch.reach("end")
    stream.write(_REQUEST.pack(b"DONE", 0))


class _Upload:
    """The pieces of a file that come, up to its end and its time of change."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._is_done = False
        self.time_s = 0

    def __iter__(self) -> Iterator[bytes]:
        while not self._is_done:
            name, number = _REQUEST.unpack(self._stream.read(_REQUEST.size))
            if name == b"DONE":
                self._is_done = True
                self.time_s = number
            elif name == b"DATA" and number <= _PIECE:
                yield self._stream.read(number)
            else:
                raise StreamClosed


def _send(stream: Stream, path_and_mode: str, watch: Watch) -> None:
    """Answer ``SEND``: keep what comes as the file of a path, whose mode follows a comma."""
    path, _, mode = path_and_mode.rpartition(",")
    upload = _Upload(stream)
    try:
        watch.reach("before")
        _keep(path, int(mode), upload, watch)
        watch.reach("end")
    except (FaultError, OSError) as error:
        _fail(stream, error.message if isinstance(error, FaultError) else _words(error))
        # The client looks for a failure between two pieces, or when it has sent all.
        for _ in upload:
            pass
    else:
        stream.write(_REQUEST.pack(b"OKAY", 0))


def _keep(path: str, mode: int, upload: _Upload, watch: Watch) -> None:
    with suppress(OSError):
        if stat.S_IFMT(os.lstat(path).st_mode) in (stat.S_IFREG, stat.S_IFLNK):
            os.unlink(path)
    _make_folder(os.path.dirname(path))
    if stat.S_ISLNK(mode):
        os.symlink(b"".join(upload).rstrip(b"\0"), os.fsencode(path))
        return
    # adbd gives the group and others what the owner may.
    mode &= 0o777
    mode |= mode >> 3 & 0o070
    mode |= mode >> 3 & 0o007
    with _saying("couldn't create file"):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, mode)
    try:
        with open(descriptor, "wb", buffering=0) as file:
            for piece in upload:
                with _saying("write failed"):
                    watch.pass_on("input", piece, lambda data: _write(file, data))
            os.fchmod(descriptor, mode)
            os.utime(descriptor, (upload.time_s, upload.time_s))
    except BaseException:
        with suppress(OSError):
            os.unlink(path)
        raise


def _write(file: FileIO, data: bytes) -> None:
    while data:
        data = data[file.write(data) :]


def _make_folder(path: str) -> None:
    with _saying("secure_mkdirs failed"):
        os.makedirs(path, exist_ok=True)


@contextmanager
def _saying(what: str) -> Iterator[None]:
    """Let an error of the system say what could not be done."""
    try:
        yield
    except OSError as error:
        error.filename = None
        error.strerror = f"{what}: {os.strerror(error.errno or errno.EIO)}"
        raise


def _words(error: OSError) -> str:
    return error.strerror or str(error)


_SERVICES: dict[bytes, Callable[[Stream, str, Watch], None]] = {
    b"STAT": _stat_1,
    b"LST2": _stat_2(b"LST2"),
    b"STA2": _stat_2(b"STA2"),
    b"LIST": _list_1,
    b"LIS2": _list_2,
    b"RECV": _receive,
    b"SEND": _send,
}
