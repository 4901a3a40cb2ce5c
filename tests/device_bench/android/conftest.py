from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def adb_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A port for an adb server of the test's own, which is ended with the test."""
    port = free_port()
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(port))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("ANDROID_SERIAL", raising=False)
    yield port
    with socket.socket() as probe:
        runs = probe.connect_ex(("127.0.0.1", port)) == 0
    if runs:
        words = ["adb", "-P", str(port), "kill-server"]
        subprocess.run(words, env=os.environ.copy(), timeout=20, check=False)
