"""Pytest's fixtures of test phones, for every test of the project."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.phone.fixture import load_fixture
from tests.phone.image import EMULATOR, TOOLS, make_image
from tests.phone.phone import NAMESPACES, Phone
from tests.phone.server import AdbServer, adb_program


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what a test phone needs, for `pytest_runtest_setup` to look for it."""
    for item in items:
        if "phone_image" in getattr(item, "fixturenames", ()):
            for tool in (*TOOLS, EMULATOR):
                item.add_marker(pytest.mark.tool(tool))


@pytest.fixture(scope="session")
def phone_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The system that all test phones run."""
    if subprocess.run([*NAMESPACES, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this kernel lets nobody make a mount namespace")
    return make_image(tmp_path_factory.mktemp("phone") / "image")


@pytest.fixture(scope="session")
def session_adb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdbServer]:
    """The server of :func:`adb_server`, for fixtures of the whole session."""
    if adb_program() is None:
        pytest.skip("needs the package adbutils, with the adb that it carries")
    with AdbServer(tmp_path_factory.mktemp("adb")) as server:
        yield server


@pytest.fixture
def adb_server(session_adb_server: AdbServer, monkeypatch: pytest.MonkeyPatch) -> AdbServer:
    """The tests' own adb server, which every adb of this test uses."""
    if not session_adb_server.is_ours:  # another test has killed it
        session_adb_server.stop()
        session_adb_server.start()
    for name, value in session_adb_server.env.items():
        monkeypatch.setenv(name, value)
    return session_adb_server


@pytest.fixture
def start_phone(
    adb_server: AdbServer, phone_image: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Phone]]:
    """Starts and connects a phone: ``start_phone("pixel_8", storage_mb=20, noexec=True)``.

    Words of `Phone` are its; all others change the fixture (see `load_fixture`).
    """
    phones: list[Phone] = []

    def start(
        fixture: str = "pixel_8", *, access: str = "open", noexec: bool = False, **changes: Any
    ) -> Phone:
        phone = Phone(
            load_fixture(fixture, **changes),
            server=adb_server,
            image=phone_image,
            folder=tmp_path_factory.mktemp(fixture) / "phone",
            access=access,
            noexec=noexec,
        )
        phones.append(phone)
        if access == "silent":
            phone.find()
        else:
            phone.connect()
        return phone

    yield start
    for phone in phones:
        phone.stop()


@pytest.fixture
def phone(start_phone: Callable[..., Phone]) -> Phone:
    """A Pixel 8, connected."""
    return start_phone("pixel_8")
