"""``bundle.json``: what a bundle holds, from what it was made, and whether it is still that."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from lightmobile.errors import DeviceError

__all__ = ["MANIFEST", "BundleFile", "BundleManifest", "content_hash_of", "read_bundle"]

MANIFEST = "bundle.json"
_LIMIT_BYTES = 1_000_000

# One folder deep, no path upwards, nothing that a shell would read otherwise.
InBundle = Annotated[
    str,
    StringConstraints(
        pattern=r"^((push|licences)/[A-Za-z0-9_][A-Za-z0-9+._-]*|SOURCES)$", max_length=120
    ),
]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class _Part(BaseModel):
    # Unknown keys of a later version are kept, so that an old reader loses nothing.
    model_config = ConfigDict(extra="allow", frozen=True)


class BundleFile(_Part):
    """One file: below ``push/`` what goes to the phone, else what tells of its makers."""

    path: InBundle
    size: int = Field(ge=0, description="bytes")
    sha256: Sha256
    mode: Literal["755", "644"]

    @property
    def is_pushed(self) -> bool:
        """Whether it goes to the phone."""
        return self.path.startswith("push/")


class BundleManifest(_Part):
    """The whole bundle."""

    schema_: Literal[1] = Field(alias="schema")
    abi: Literal["arm64-v8a"]
    versions: dict[str, str] = Field(description="of the runtimes and libraries in it")
    compiler: str
    sources_sha256: Sha256 = Field(description="over the runners' sources and the pins")
    files: tuple[BundleFile, ...] = Field(max_length=1000)
    content_hash: Sha256 = Field(description="over every file's path, mode and content")


def content_hash_of(files: Iterable[BundleFile]) -> str:
    """Return the SHA-256 over the paths, modes and contents of `files`."""
    lines = (f"{file.mode} {file.sha256} {file.path}\n" for file in files)
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()


def read_bundle(folder: Path) -> BundleManifest:
    """Return the manifest of the bundle in `folder`, once every file of it was checked.

    Raises
    ------
    DeviceError
        It is no bundle, or a file is not the one that it was built with.
    """
    try:
        with (folder / MANIFEST).open("rb") as opened:
            manifest = BundleManifest.model_validate_json(opened.read(_LIMIT_BYTES))
    except OSError as error:
        raise _refused(folder, f"{MANIFEST}: {error.strerror or error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise _refused(folder, f"{MANIFEST}: {where}: {first['msg']}") from None
    paths = [file.path for file in manifest.files]
    if len(set(paths)) != len(paths):
        raise _refused(folder, f"{MANIFEST}: it names a file twice")
    if content_hash_of(manifest.files) != manifest.content_hash:
        raise _refused(folder, f"{MANIFEST}: the content hash is another one")
    for file in manifest.files:
        if why := _why_not(folder / file.path, file):
            raise _refused(folder, f"{file.path}: {why}")
    return manifest


def _why_not(path: Path, file: BundleFile) -> str:
    try:
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode):
            return "it is no ordinary file"
        if found.st_size != file.size:
            return f"it has {found.st_size} bytes instead of {file.size}"
        with path.open("rb") as opened:
            same = hashlib.file_digest(opened, "sha256").hexdigest() == file.sha256
    except OSError as error:
        return error.strerror or str(error)
    return "" if same else "its SHA-256 is another one"


def _refused(folder: Path, why: str) -> DeviceError:
    return DeviceError(
        f"The runners in {folder} are not as they were built",
        why=why,
        fix="Build them again: `lightmobile runners build`, or install lightmobile again",
    )
