from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lightmobile.device_bench.devices import list_devices, open_device
from lightmobile.errors import UsageError

PLUGIN = """
from lightmobile.device_bench.devices.host import HostDevice


class Cardboard(HostDevice):
    emulated = True

    def __init__(self, which):
        self.which = which
"""


@pytest.fixture
def cardboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a package that brings a device."""
    facts = tmp_path / "cardboard-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: cardboard\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(
        "[lightmobile.devices]\ncardboard = cardboard_plugin:Cardboard\n"
    )
    (tmp_path / "cardboard_plugin.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(tmp_path)


def test_the_host_knows_what_it_can_do_and_why_not() -> None:
    host = open_device("host")
    assert host.runtimes == ("executorch", "tflite", "coreml")
    assert host.why_not("executorch", "cpu") is None
    assert host.why_not("tflite", "cpu") is None
    assert "CPU only" in (host.why_not("executorch", "gpu") or "")
    assert "CPU only" in (host.why_not("tflite", "npu") or "")
    if sys.platform != "darwin":
        assert host.why_not("coreml", "npu") == "needs macOS"


def test_the_host_tells_what_it_is_and_how_it_fares() -> None:
    host = open_device("host")
    assert host.identity().processor
    assert host.condition() is not None
    assert 1 <= host.cores <= 4096


def test_a_device_of_another_package(cardboard: None) -> None:
    assert list_devices() == ["android", "cardboard", "host"]
    device = open_device("cardboard:left:1")
    assert device.which == "left:1"
    assert device.emulated


@pytest.mark.parametrize(
    ("word", "says"), [("hots", "host"), ("", "host"), ("host:2", "no host '2'")]
)
def test_devices_that_are_none(word: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        open_device(word)


@pytest.mark.parametrize(
    ("runtime", "compute", "says"),
    [("executorhc", "cpu", "executorch"), ("tflite", "tpu", "npu, gpu or cpu")],
)
def test_words_that_no_device_knows(runtime: str, compute: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        open_device("host").why_not(runtime, compute)


@pytest.mark.parametrize("threads", [0, -1, 10_000])
def test_impossible_threads(threads: int) -> None:
    with pytest.raises(UsageError, match="threads"):
        open_device("host").check_threads(threads)


def test_possible_threads() -> None:
    host = open_device("host")
    assert host.check_threads(host.cores) == host.cores
    assert host.check_threads(1) == 1
