"""The system of a test phone: Debian's mksh and toybox, which Android has too, and our programs.

It is made once, and every phone mounts it at ``/system``.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

__all__ = ["EMULATOR", "TOOLS", "image_without", "make_image"]

#: The programs that must be there for a test phone to start, by Debian's packages of them.
TOOLS = {"mksh": "mksh", "toybox": "toybox", "gcc": "gcc", "unshare": "util-linux"}

#: Runs programs of arm64 phones; a phone starts without it, and then runs none.
EMULATOR = "qemu-aarch64-static"

_NATIVE = Path(__file__).parent / "native"
_ASKING = ("getprop", "setprop", "settings", "dumpsys", "cmd", "svc", "input", "wm", "am", "pm")
# Android's toybox has these, and Debian's leaves them out as not finished.
_BORROWED = ("tr", "dd", "expr", "diff", "gzip", "awk")
# An Android phone's shell has none of these, or they are another's: they would only confuse.
_LEFT_OUT = ("getprop", "setprop", "sh", "bash", "su", "sudo", "login", "passwd", "init")

_USERS = "root:x:0:0::/:/system/bin/sh\nshell:x:2000:2000::/:/system/bin/sh\n"
_GROUPS = "root:x:0:\nsystem:x:1000:\nlog:x:1007:\nsdcard_rw:x:1015:\nshell:x:2000:\ninet:x:3003:\n"


def make_image(folder: Path) -> Path:
    """Make the system in `folder`, and return it.

    It holds ``system``, and the libraries of its programs at the paths where those look for them.
    """
    programs = folder / "system" / "bin"
    programs.mkdir(parents=True)
    for folder_name in ("lib64", "etc"):
        (folder / "system" / folder_name).mkdir()
    _copy(folder, "mksh", "sh")
    _copy(folder, "toybox", "toybox")
    listed = subprocess.run(["toybox"], capture_output=True, text=True, check=True).stdout
    for name in listed.split():
        if name not in _LEFT_OUT and not (programs / name).exists():
            (programs / name).symlink_to("toybox")
    for name in _BORROWED:
        if not (programs / name).exists() and shutil.which(name):
            _copy(folder, name, name)
    if emulator := shutil.which(EMULATOR):
        shutil.copy(emulator, programs / "qemu-aarch64")
    _compile(_NATIVE / "ask.c", programs / "ask")
    for name in _ASKING:
        (programs / name).symlink_to("ask")
    library = folder / "system" / "lib64" / "libprograms.so"
    _compile(_NATIVE / "programs.c", library, "-shared", "-fPIC")
    # Android's users are compiled in, and no file.
    (folder / "system" / "etc" / "passwd").write_text(_USERS)
    (folder / "system" / "etc" / "group").write_text(_GROUPS)
    # Unlike LD_PRELOAD, nothing in the phone can unset it.
    (folder / "system" / "etc" / "ld.so.preload").write_text("/system/lib64/libprograms.so\n")
    return folder


def image_without(image: Path, missing: Iterable[str]) -> Path:
    """Return an image like `image` that lacks some programs."""
    names = sorted(missing)
    if not names:
        return image
    copy = image.with_name("-".join([image.name, "without", *names]))
    if not copy.exists():
        shutil.copytree(image, copy, symlinks=True, copy_function=os.link)
        for name in names:
            (copy / "system" / "bin" / name).unlink(missing_ok=True)
    return copy


def _copy(folder: Path, name: str, as_name: str) -> None:
    """Copy a program of this machine, and the libraries that it needs."""
    found = shutil.which(name)
    if found is None:
        raise FileNotFoundError(name)
    shutil.copy(found, folder / "system" / "bin" / as_name)
    listed = subprocess.run(["ldd", found], capture_output=True, text=True, check=False).stdout
    for path in re.findall(r"(?:=> |^\s+)(/\S+)", listed, re.MULTILINE):
        copy = folder / path.lstrip("/")
        if not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)


def _compile(source: Path, program: Path, *words: str) -> None:
    flags = ["-std=gnu17", "-O2", "-Wall", "-Wextra", "-Werror", *words]
    subprocess.run(["gcc", *flags, "-o", program, source], check=True)
