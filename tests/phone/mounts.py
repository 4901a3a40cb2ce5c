"""The file systems of a test phone, mounted in its own namespace."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from tests.phone.fixture import Fixture
from tests.phone.tree import make_tree

__all__ = ["SHELL_USER", "enter_root", "has_users"]

#: Android's number of the user that adb's shells run as.
SHELL_USER = 2000

_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")

# Of <sys/mount.h>.
_NOSUID, _NODEV, _NOEXEC, _BIND, _REC = 2, 4, 8, 4096, 16384

_LIBC = ctypes.CDLL(None, use_errno=True)


def enter_root(root: Path, image: Path, fixture: Fixture, *, noexec: bool) -> None:
    """Make a phone's root at the empty folder `root`, and make it this process's own.

    Parameters
    ----------
    image
        What :func:`make_image` made, for ``/system``.
    noexec
        Whether nothing on ``/data`` can be executed.
    """
    _mount("phone", root, "tmpfs", _NOSUID, "mode=755")
    for folder in image.iterdir():
        (root / folder.name).mkdir()
        _mount(str(folder), root / folder.name, "", _BIND | _REC)
    make_tree(root, fixture)
    flags = _NOSUID | _NODEV | (_NOEXEC if noexec else 0)
    _mount("data", root / "data", "tmpfs", flags, f"mode=771,size={fixture.storage_mb}m")
    _mount("proc", root / "proc", "proc")
    for name in ("cpuinfo", "meminfo"):
        _mount(str(root / "kernel" / name), root / "proc" / name, "", _BIND)
    for name in _DEVICES:
        (root / "dev" / name).touch()
        _mount(f"/dev/{name}", root / "dev" / name, "", _BIND)
    sdcard = root / "storage" / "emulated"
    _mount("sdcard", sdcard, "tmpfs", _NOSUID | _NODEV | _NOEXEC, "mode=755")
    os.chroot(root)
    os.chdir("/")
    os.umask(0)
    for path in ("/data/local/tmp", "/storage/emulated/0"):
        Path(path).mkdir(parents=True)
        if has_users():
            os.chown(path, SHELL_USER, SHELL_USER)


def has_users() -> bool:
    """Return whether there are other users here than the one who is root."""
    return sum(int(line.split()[2]) for line in _UID_MAP.splitlines()) > SHELL_USER


def _mount(source: str, target: Path, kind: str, flags: int = 0, options: str = "") -> None:
    words = (os.fsencode(each) for each in (source, target, kind))
    if _LIBC.mount(*words, ctypes.c_ulong(flags), options.encode()) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"mount: {os.strerror(number)}", str(target))


_UID_MAP = Path("/proc/self/uid_map").read_text(encoding="ascii")
