"""One phone for all tests that only look at it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.phone.phone import Phone
from tests.phone.server import AdbServer


@pytest.fixture(scope="session")
def _steady_phone(
    session_adb_server: AdbServer, phone_image: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Phone]:
    folder = tmp_path_factory.mktemp("steady") / "phone"
    with Phone("pixel_8", server=session_adb_server, image=phone_image, folder=folder) as phone:
        yield phone


@pytest.fixture
def steady_phone(adb_server: AdbServer, _steady_phone: Phone) -> Phone:
    """A Pixel 8 that no test changes."""
    _steady_phone.connect()
    return _steady_phone
