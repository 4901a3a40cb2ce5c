"""The folder of lightmobile on a phone: what is pushed once and kept, by its content.

``/data/local/tmp/lightmobile/`` holds

- ``runners-<hash>/``: the runners and their libraries, under this name only once every file was
  checked there;
- ``files/<sha256>.<suffix>``: artifacts and inputs, checked before each use, under no name that
  comes from outside;
- ``runs/``: see :mod:`.run`.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from lightmobile.device_bench.devices.android.shell import Shell
from lightmobile.errors import DeviceError

__all__ = ["ROOT", "Workspace"]

ROOT = "/data/local/tmp/lightmobile"

SHA_TIMEOUT_S = 120.0
_MARGIN_BYTES = 50 * 2**20
_UNUSED_DAYS = 30


class Workspace:
    """What is kept on the phone from run to run."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._checked: set[str] = set()

    def remove_unused(self) -> None:
        """Remove artifacts that no run has used for a month."""
        self._shell.ask(
            f"find {ROOT}/files -type f -mtime +{_UNUSED_DAYS} -exec rm -f {{}} +; true"
        )

    def place_file(self, file: Path) -> str:
        """Return the path of a copy of `file` on the phone, pushed and checked unless it is there.

        Raises
        ------
        DeviceError
            The phone has no room, or does not hold what was pushed.
        """
        sha256 = _sha256(file)
        # A name from outside never reaches the phone, but for a suffix of letters.
        suffix = file.suffix if re.fullmatch(r"\.[a-z]{1,10}", file.suffix) else ""
        name = f"files/{sha256}{suffix}"
        if name not in self._checked:
            if self._sums([name]).get(name) != sha256:
                self._check_room([file])
                self._shell.push([file], f"{ROOT}/{name}")
                self._check({name: sha256})
            self._shell.ask(f"touch {ROOT}/{name}")
            self._checked.add(name)
        return f"{ROOT}/{name}"

    def place_bundle(self, files: Sequence[Path], content_hash: str) -> str:
        """Return the folder of the runners on the phone, with copies of `files` in it.

        What an older bundle has in common is copied on the phone; the rest is pushed.

        Raises
        ------
        DeviceError
            The phone has no room, or does not hold what was pushed.
        """
        folder = f"runners-{content_hash}"
        if folder in self._checked:
            return f"{ROOT}/{folder}"
        wanted = {file.name: _sha256(file) for file in files}
        there = self._sums(["runners-*/*"])
        if any(there.get(f"{folder}/{name}") != sha256 for name, sha256 in wanted.items()):
            self._renew_bundle(files, wanted, there, folder)
        self._checked.add(folder)
        return f"{ROOT}/{folder}"

    def _renew_bundle(
        self,
        files: Sequence[Path],
        wanted: Mapping[str, str],
        there: Mapping[str, str],
        folder: str,
    ) -> None:
        by_content = {sha256: path for path, sha256 in there.items()}
        copies = {name: by_content[sha] for name, sha in wanted.items() if sha in by_content}
        lines = [f"mkdir -p {ROOT} && cd {ROOT} && rm -rf partial && mkdir partial"]
        lines += [f"cp {shlex.quote(path)} partial/{name}" for name, path in copies.items()]
        self._shell.ask(" &&\n".join(lines), doing="take the runners")
        if pushed := [file for file in files if file.name not in copies]:
            self._check_room(pushed)
            self._shell.push(pushed, f"{ROOT}/partial/")
        self._check({f"partial/{name}": sha256 for name, sha256 in wanted.items()})
        self._shell.ask(
            # If the connection broke at its end, this runs twice.
            f"cd {ROOT} && if [ -d partial ]; then\n"
            f"chmod 755 partial/* && rm -rf runners-* && mv partial {folder}\n"
            f"else [ -d {folder} ]; fi",
            doing="take the runners",
        )

    def _check(self, wanted: Mapping[str, str]) -> None:
        """Check that the phone has the files `wanted` by their paths; remove what is wrong."""
        found = self._sums(wanted)
        if wrong := [path for path, sha256 in wanted.items() if found.get(path) != sha256]:
            self._shell.ask(f"cd {ROOT} && rm -f {' '.join(wrong)}")
            raise DeviceError(
                f"{self._shell.serial} does not hold what was pushed",
                why=f"{wrong[0]} has another SHA-256 there",
                fix="Check the cable and the phone's free storage, and run it again",
            )

    def _check_room(self, files: Sequence[Path]) -> None:
        size = sum(file.stat().st_size for file in files)
        said = self._shell.ask(f"stat -f -c '%a %S' {ROOT}; true")
        blocks, _, block = said.strip().partition(" ")
        free = int(blocks) * int(block) if blocks.isdecimal() and block.isdecimal() else None
        if free is not None and free < size + _MARGIN_BYTES:
            raise DeviceError(
                f"{self._shell.serial} has no room",
                why=f"{free / 1e6:.0f} MB are free, and {(size + _MARGIN_BYTES) / 1e6:.0f} MB are "
                "needed",
                fix="Free some of the phone's storage",
            )

    def _sums(self, paths: Iterable[str]) -> dict[str, str]:
        """Return the SHA-256 of those `paths` below the folder, or patterns, that it has."""
        said = self._shell.ask(
            f"cd {ROOT} && sha256sum {' '.join(paths)} 2>/dev/null; true", timeout_s=SHA_TIMEOUT_S
        )
        pairs = (line.partition("  ") for line in said.splitlines())
        return {path.strip(): sha for sha, _, path in pairs if re.fullmatch(r"[0-9a-f]{64}", sha)}


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
