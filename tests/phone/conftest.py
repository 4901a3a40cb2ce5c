"""One phone for all tests that leave it as it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.phone.phone import Phone
from tests.phone.server import AdbServer


@pytest.fixture(scope="session")
def _one_phone(
    session_adb_server: AdbServer, phone_image: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Phone]:
    folder = tmp_path_factory.mktemp("one") / "phone"
    with Phone("pixel_8", server=session_adb_server, image=phone_image, folder=folder) as phone:
        yield phone


@pytest.fixture
def phone(adb_server: AdbServer, _one_phone: Phone) -> Phone:
    """A Pixel 8 for many tests: without a log, faults and files of those before, and connected."""
    _one_phone.reset()
    _one_phone.plug()
    return _one_phone
