"""The real bundle, built once: where `find_bundle` looks for it in this session."""

from __future__ import annotations

import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path

import pytest

from lightmobile.device_bench.bundle import Bundle
from lightmobile.device_bench.bundle.building import build_bundle
from lightmobile.device_bench.bundle.finding import built_folder, open_bundle
from lightmobile.device_bench.bundle.pins import PINS
from lightmobile.device_bench.bundle.refreshing import refresh_pins
from lightmobile.errors import DeviceError, UsageError
from tests.once import made_once

__all__ = ["BuiltBundle", "built_bundle", "mark_users", "runner_bundle"]

TOOLS = ("apt-get", "dpkg-deb", "cmake", "make", "aarch64-linux-gnu-g++", "qemu-aarch64-static")


@dataclass(frozen=True)
class BuiltBundle:
    """A bundle, and the file of the pins that it was built from."""

    bundle: Bundle
    pins: Path


@pytest.fixture(scope="session")
def built_bundle(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> BuiltBundle:
    """The bundle of the sources as they are; one of an earlier session is taken if it is that."""
    kept = pytestconfig.cache.mkdir("runners") / "aarch64"

    def make(folder: Path) -> None:
        if not _is_of_these_sources(kept):
            _build(kept, folder / "pins.toml")
        shutil.rmtree(built_folder(), ignore_errors=True)
        shutil.copytree(kept, built_folder())

    renewed = made_once(tmp_path_factory, "bundle", make) / "pins.toml"
    return BuiltBundle(open_bundle(built_folder()), renewed if renewed.exists() else PINS)


@pytest.fixture(scope="session")
def runner_bundle(built_bundle: BuiltBundle) -> Bundle:
    """The runners for phones, which `find_bundle` finds from here on."""
    return built_bundle.bundle


def mark_users(items: list[pytest.Item]) -> None:
    """Mark the tests of the real bundle: as slow, and with the tools that build it.

    A build takes half a minute, and several where the machine is busy with other things.
    """
    for item in items:
        if "built_bundle" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.timeout(900))
            for tool in TOOLS:
                item.add_marker(pytest.mark.tool(tool))


def _is_of_these_sources(folder: Path) -> bool:
    try:
        return not open_bundle(folder).is_stale
    except DeviceError:
        return False


def _build(folder: Path, renewed: Path) -> None:
    """Build a bundle, if need be from today's packages, whose pins are then in `renewed`."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        build_bundle(folder, _silent)
        return
    except UsageError as error:
        if "no longer has" not in error.what:
            raise
        warnings.warn(f"{error.what}: built from what it has now", stacklevel=2)
    refresh_pins(renewed, _silent)
    build_bundle(folder, _silent, renewed)


def _silent(task: str, phase: str) -> None:
    del task, phase
