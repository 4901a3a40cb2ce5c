"""The adb program and its server: versions, absence, hangs; nobody's server is ended."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lightmobile.device_bench.devices import open_device
from lightmobile.device_bench.devices.android.adb import Adb
from lightmobile.errors import DeviceError, UsageError
from tests.cli import lightmobile

pytestmark = pytest.mark.tool("adb")


class Server:
    """Answers on loopback as an adb server of version 1.0.40, or with `answer`; notes what came."""

    def __init__(self, answer: bytes = b"OKAY00040028") -> None:
        self.asked: list[bytes] = []
        self._answer = answer
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(2)
                try:
                    self.asked.append(connection.recv(1000))
                    connection.sendall(self._answer)
                except OSError:
                    continue

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def older_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    server = Server()
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(server.port))
    yield server
    server.close()


def test_a_server_is_started_where_none_runs(adb_port: int) -> None:
    assert Adb().phones() == []
    with socket.create_connection(("127.0.0.1", adb_port), timeout=5):
        pass


def test_a_server_of_another_version_is_left_alone(older_server: Server) -> None:
    with pytest.raises(DeviceError, match=r"another version.*1\.0\.40.*1\.0\.41") as caught:
        Adb().phones()
    assert "kill-server" in caught.value.fix
    assert older_server.asked
    assert not any(b"kill" in question for question in older_server.asked)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"OKAYzzzz", b"OKAY"])
def test_a_port_that_something_else_has(answer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(answer)
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(server.port))
    with pytest.raises(DeviceError, match=r"does not answer as one|another version"):
        Adb().phones()
    server.close()


@pytest.mark.parametrize("port", ["adb", "-1", "0", "70000", "5037; reboot"])
def test_a_port_that_is_none(port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", port)
    with pytest.raises(UsageError, match="ANDROID_ADB_SERVER_PORT"):
        Adb()


def test_no_phone(adb_port: int) -> None:
    with pytest.raises(DeviceError, match=r"There is no phone.*adb sees none"):
        open_device("android")
    with pytest.raises(DeviceError, match="no phone 'a:b;c'"):
        open_device("android:a:b;c")


def a_program(path: Path, script: str) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_an_adb_that_hangs_is_stopped(
    adb_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "ADBUTILS_ADB_PATH", a_program(tmp_path / "adb", "echo $$ >&2; exec sleep 99")
    )
    start = time.monotonic()
    with pytest.raises(DeviceError, match="did not end within 1 s") as caught:
        Adb().run(["devices"], 1.0)
    assert time.monotonic() - start < 5
    with pytest.raises(ProcessLookupError):
        os.kill(int(caught.value.why), 0)


def test_an_adb_that_prints_without_end_is_stopped(
    adb_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADBUTILS_ADB_PATH", a_program(tmp_path / "adb", "exec yes"))
    with pytest.raises(DeviceError, match="without end"):
        Adb().run(["devices"], 30.0)


def test_the_devices_are_listed_without_adb(adb_port: int, tmp_path: Path) -> None:
    done = lightmobile("devices", "--json", env={"ADBUTILS_ADB_PATH": str(tmp_path / "none")})
    assert done.code == 0
    host, android = done.json["devices"]
    assert (host["device"], host["state"]) == ("host", "ready")
    assert {"runtime": "executorch", "compute": "cpu", "why_not": None} in host["capabilities"]
    assert (android["device"], android["state"]) == ("android", "absent")
    assert "adb cannot be started" in android["why_not"]
    assert "platform-tools" in android["fix"]


def test_the_devices_are_listed_without_a_phone(adb_port: int) -> None:
    done = lightmobile("devices")
    assert done.code == 0
    assert "host" in done.out
    assert "adb sees no phone" in done.err


def test_bench_without_a_phone_says_so(adb_port: int) -> None:
    done = lightmobile("bench", "fasternet_t0", "--device", "android", "--json")
    assert done.code == 5
    assert json.loads(done.out)["error"]["code"] == "device"
    assert done.json["error"]["what"] == "There is no phone"
