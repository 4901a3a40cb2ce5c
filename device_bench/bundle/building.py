"""``lightmobile runners build``."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from lightmobile.device_bench.bundle.compiling import check_whole, compile_runners, compiler
from lightmobile.device_bench.bundle.finding import (
    Bundle,
    built_folder,
    open_bundle,
    sources_sha256,
)
from lightmobile.device_bench.bundle.manifest import (
    MANIFEST,
    BundleFile,
    BundleManifest,
    content_hash_of,
)
from lightmobile.device_bench.bundle.parts import Parts, fetch
from lightmobile.device_bench.bundle.pins import PINS, read_pins
from lightmobile.device_bench.bundle.texts import licences, sources
from lightmobile.device_bench.bundle.tools import check_tools
from lightmobile.errors import UsageError

__all__ = ["build_bundle"]


def build_bundle(
    folder: Path | None, progress: Callable[[str, str], None], pins_file: Path = PINS
) -> Bundle:
    """Build a bundle in `folder`, or in the user's cache, where it replaces an older one.

    `folder` appears when all of it is there. The same sources, pins and compiler give the same
    bytes.

    Raises
    ------
    UsageError
        A tool is missing, a part cannot be had or is not what was pinned, or `folder` is another
        thing than a bundle.
    """
    pins = read_pins(pins_file)
    check_tools(compiling=True)
    folder = (folder or built_folder()).absolute()
    _check_place(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Beside the place where it is going to be, so that it gets there by a rename.
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-") as name:
        work = Path(name)
        progress("runners", "download the libraries")
        parts = fetch(pins, work)
        progress("runners", "compile")
        made_of = sources_sha256(pins_file)
        runners = compile_runners(
            work, parts.debian, parts.wheels["executorch"], parts.wheels["ai-edge-litert"]
        )
        progress("runners", "put together")
        new = work / "bundle"
        _put(new / "push", {file.name: file for file in runners} | parts.libraries())
        check_whole(new / "push")
        _put_texts(new, parts)
        _describe(new, parts, compiler=compiler(work), made_of=made_of)
        open_bundle(new)
        _replace(folder, new, work)
    progress("runners", "done")
    return open_bundle(folder)


def _check_place(folder: Path) -> None:
    if os.path.lexists(folder) and not (folder / MANIFEST).is_file():
        raise UsageError(
            f"{folder} is there already, and holds no runners",
            fix="Give a folder that does not exist; it is made",
        )


def _put(folder: Path, files: dict[str, Path]) -> None:
    folder.mkdir(parents=True)
    for name, file in files.items():
        shutil.copyfile(file, folder / name)
        (folder / name).chmod(0o755)


def _put_texts(folder: Path, parts: Parts) -> None:
    (folder / "licences").mkdir()
    texts = {f"licences/{name}": text for name, text in licences(parts).items()}
    texts["SOURCES"] = sources(parts).encode()
    for path, text in texts.items():
        (folder / path).write_bytes(text)
        (folder / path).chmod(0o644)


def _describe(folder: Path, parts: Parts, *, compiler: str, made_of: str) -> None:
    files = [
        _file(folder, path) for path in sorted(path for path in folder.rglob("*") if path.is_file())
    ]
    versions = {pin.project: pin.version for pin in parts.pins.wheel}
    versions |= {pin.source: pin.source_version for pin in parts.pins.debian}
    manifest = BundleManifest(
        schema=1,
        abi="arm64-v8a",
        versions=versions,
        compiler=compiler,
        sources_sha256=made_of,
        files=tuple(files),
        content_hash=content_hash_of(files),
    )
    text = manifest.model_dump_json(by_alias=True, indent=2) + "\n"
    (folder / MANIFEST).write_text(text, "utf-8")


def _file(folder: Path, path: Path) -> BundleFile:
    content = path.read_bytes()
    return BundleFile(
        path=path.relative_to(folder).as_posix(),
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        mode="755" if path.parent.name == "push" else "644",
    )


def _replace(folder: Path, new: Path, work: Path) -> None:
    """Move `new` to `folder`; a bundle that is there goes away with `work`."""
    with contextlib.suppress(FileNotFoundError):
        folder.rename(work / "old")
    new.rename(folder)
