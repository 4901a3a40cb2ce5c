"""A phone as a device: real adb, real files, a test phone that runs them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lightmobile.device_bench.devices import open_device
from lightmobile.device_bench.devices.android.phone import AndroidPhone, open_phone
from lightmobile.device_bench.devices.android.shell import RefusedError
from lightmobile.errors import DeviceError
from tests.cli import lightmobile
from tests.device_bench.android.checks import runs
from tests.phone.phone import Phone


def test_a_phone_tells_what_it_is(phone: Phone) -> None:
    device = open_device(f"android:{phone.serial}")
    identity = device.identity()
    assert (identity.kind, identity.serial) == ("android", phone.serial)
    assert (identity.manufacturer, identity.model, identity.os_version) == (
        "Google",
        "Pixel 8",
        "14",
    )
    assert identity.label == f"android:{phone.serial}"
    assert identity.emulated
    assert device.emulated
    assert device.cores == 9
    assert device.cores_of("big") == (8,)
    assert device.cores_of("mid") == (4, 5, 6, 7)
    assert device.cores_of("little") == (0, 1, 2, 3)
    assert device.cores_of(None) is None
    assert device.check_threads(9) == 9
    # Opening touches nothing.
    assert phone.files() == []
    assert not any("settings put" in line for line in phone.lines("system"))


def test_a_phone_tells_how_it_fares(phone: Phone) -> None:
    device = open_device("android")
    before = len(phone.lines("shell"))
    condition = device.condition()
    assert len(phone.lines("shell")) == before + 1
    assert condition.thermal_status == 0
    assert condition.sensors["VIRTUAL-SKIN"].type == "skin"
    assert condition.battery_celsius == 29.3
    assert condition.plugged == ("usb",)
    assert condition.screen == "awake"
    assert len(condition.frequency_mhz) == len(condition.max_frequency_mhz) == 9
    assert condition.load_average is not None


@pytest.mark.parametrize("wakefulness", [True, False], ids=["awake", "asleep"])
def test_what_is_changed_is_restored(start_phone: Callable[..., Phone], wakefulness: bool) -> None:
    phone = start_phone(awake=wakefulness)
    before = phone.state()
    with open_phone() as device:
        settings = phone.settings
        assert settings["global"]["stay_on_while_plugged_in"] == "7"
        assert settings["system"]["screen_off_timeout"] == "1800000"
        assert settings["system"]["screen_brightness_mode"] == "0"
        assert phone.state()["wakefulness"] == "Awake"
        assert all(change.is_as_wanted for change in device.changes)
        assert runs(phone)
    assert phone.state() == before
    assert runs(phone) == []
    phone.wait_until(lambda: not phone.processes())


def test_settings_that_hold_anything_are_written_back_as_they_were(
    start_phone: Callable[..., Phone],
) -> None:
    hostile = '\'; touch /data/local/tmp/owned; $(touch /data/local/tmp/owned) "`id`" \\'
    phone = start_phone(settings={"system": {"screen_off_timeout": hostile}})
    before = phone.state()
    with open_phone():
        assert phone.settings["system"]["screen_off_timeout"] == "1800000"
    assert phone.state() == before
    assert "owned" not in phone.files()


def test_a_setting_that_cannot_be_written_back_is_left_alone(
    start_phone: Callable[..., Phone],
) -> None:
    phone = start_phone(settings={"system": {"screen_off_timeout": "3\n4"}})
    before = phone.state()
    with open_phone() as device:
        (change,) = (each for each in device.changes if "timeout" in each.operation.name)
        assert not change.is_as_wanted
        assert phone.settings["system"]["screen_off_timeout"] == "3\n4"
    assert phone.state() == before


def test_files_are_pushed_once_and_checked(phone: Phone, tmp_path: Path) -> None:
    file = tmp_path / "-rf $(touch owned); '\"\n model.pte"
    file.write_bytes(os.urandom(300_000))
    with open_phone() as device:
        path = device.place(file)
        assert path.endswith(".pte")
        assert (phone.root / path.lstrip("/")).read_bytes() == file.read_bytes()
        assert device.place(file) == path
    sent = [line for line in phone.lines("sync") if line.startswith("SEND")]
    assert len(sent) == 1
    with open_phone() as device:
        assert device.place(file) == path
    assert [line for line in phone.lines("sync") if line.startswith("SEND")] == sent
    # What was changed there is pushed anew.
    (phone.root / path.lstrip("/")).write_bytes(b"other")
    with open_phone() as device:
        device.place(file)
    assert (phone.root / path.lstrip("/")).read_bytes() == file.read_bytes()
    assert not any("owned" in each for each in phone.files())


def test_runners_are_pushed_once_and_only_what_changed(phone: Phone, tmp_path: Path) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    first.mkdir()
    (first / "libc.so.6").write_bytes(os.urandom(200_000))
    (first / "runner").write_bytes(b"1")
    shutil.copytree(first, second)
    (second / "runner").write_bytes(b"2")

    def place(folder: Path, content_hash: str) -> str:
        files = sorted(folder.iterdir())
        with open_phone() as device:
            return device._workspace.place_bundle(files, content_hash)

    def sent() -> list[str]:
        lines = phone.lines("sync")
        return sorted(line.rpartition("/")[2] for line in lines if line.startswith("SEND"))

    one = place(first, "aaaa")
    assert sent() == ["libc.so.6", "runner"]
    assert place(first, "aaaa") == one
    assert sent() == ["libc.so.6", "runner"]
    two = place(second, "bbbb")
    assert sent() == ["libc.so.6", "runner", "runner"]
    assert [each for each in phone.files() if "runners-" in each] == [
        "lightmobile/runners-bbbb",
        "lightmobile/runners-bbbb/libc.so.6",
        "lightmobile/runners-bbbb/runner",
    ]
    assert (phone.root / two.lstrip("/") / "runner").read_bytes() == b"2"
    # A file of it that was damaged there comes anew.
    (phone.root / two.lstrip("/") / "runner").write_bytes(b"3")
    place(second, "bbbb")
    assert (phone.root / two.lstrip("/") / "runner").read_bytes() == b"2"


def test_what_a_run_writes_can_be_fetched(phone: Phone, tmp_path: Path) -> None:
    with open_phone() as device:
        path = device.scratch("trace")
        device.run_program(f"exec dd if=/dev/zero of={path} bs=1000 count=300", timeout_s=10)
        device.fetch(path, tmp_path / "trace")
        assert (tmp_path / "trace").read_bytes() == bytes(300_000)
        with pytest.raises(RefusedError, match="No such file"):
            device.fetch(device.scratch("none"), tmp_path / "none")
        assert phone.root.joinpath(device.scratch("").lstrip("/")).is_dir()


def test_clocks_are_fixed_and_freed(phone: Phone) -> None:
    before = phone.state()
    with open_phone() as device:
        as_shipped = device.condition().max_frequency_mhz
        device.fix_clocks()
        assert device.condition().max_frequency_mhz != as_shipped
        assert phone.state()["fixed_performance"]
    assert phone.state() == before


def test_a_phone_is_waited_for_to_cool(phone: Phone) -> None:
    phone.heat({"status": 2, "skin": 42.0}, {"status": 0, "skin": 38.0}, {"skin": 36.0})
    said: list[str] = []
    with open_phone() as device:
        cooling = device.wait_until_cool(lambda _, how: said.append(how), poll_s=0.01)
    assert cooling.outcome == "cool"
    assert said == ["42.0 °C, thermal status 2", "38.0 °C"]


def test_two_phones_are_told_apart(start_phone: Callable[..., Phone]) -> None:
    one, other = start_phone(), start_phone()
    with pytest.raises(DeviceError, match="There are 2 phones") as caught:
        open_phone()
    assert one.serial in str(caught.value)
    with open_phone(one.serial), open_phone(other.serial):
        assert runs(one)
        assert runs(other)
    assert runs(one) == runs(other) == []


def test_the_devices_are_listed(start_phone: Callable[..., Phone]) -> None:
    phone = start_phone()
    locked = start_phone(access="refuses")
    locked.connect()
    old = start_phone(properties={"ro.build.version.sdk": "25", "ro.build.version.release": "7.1"})
    done = lightmobile("devices", "--json")
    assert done.code == 0
    found = {each["device"]: each for each in done.json["devices"]}
    assert set(found) == {"host", *(f"android:{each.serial}" for each in (phone, locked, old))}
    ready = found[f"android:{phone.serial}"]
    assert (ready["state"], ready["identity"]["model"]) == ("ready", "Pixel 8")
    reasons = {(c["runtime"], c["compute"]): c["why_not"] for c in ready["capabilities"]}
    assert "the app's job" in reasons["tflite", "gpu"]
    assert reasons["coreml", "npu"] == "needs an Apple device"
    assert found[f"android:{locked.serial}"]["state"] == "unauthorized"
    assert "accept the question" in found[f"android:{locked.serial}"]["fix"]
    (reason, *_) = (c["why_not"] for c in found[f"android:{old.serial}"]["capabilities"])
    assert "too old" in reason
    table = lightmobile("devices")
    assert table.code == 0
    assert "Pixel 8" in table.out
    assert "EMULATED" in table.out
    assert "accept the question" in table.err


def test_a_hostile_phone_runs_nothing_here(
    start_phone: Callable[..., Phone], tmp_path: Path
) -> None:
    owned = tmp_path / "owned"
    words = f"\x1b]0;x\x07$(touch {owned}); `touch {owned}` ' \" \u202e"
    start_phone(properties={"ro.product.model": words, "ro.soc.model": words})
    done = lightmobile("devices")
    assert done.code == 0
    assert "\x1b" not in done.out
    assert "\u202e" not in done.out
    assert not owned.exists()
    assert json.loads(lightmobile("devices", "--json").out)["devices"][1]["state"] == "ready"


def test_what_is_left_is_restored_on_request(phone: Phone) -> None:
    before = phone.state()
    script = (
        "from lightmobile.device_bench.devices.android.phone import open_phone\n"
        "import sys\n"
        "with open_phone():\n"
        "    print('in', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"in\n"
        with pytest.raises(DeviceError, match="in use by another run"), open_phone():
            pass
        done = lightmobile("devices", "--restore", "--json")
        assert done.json == {"ended": {f"android:{phone.serial}": 1}}
        assert phone.state() == before
        assert runs(phone) == []
        other.kill()
    assert lightmobile("devices", "--restore", "--json").json == {
        "ended": {f"android:{phone.serial}": 0}
    }


def test_a_device_that_was_not_entered_starts_nothing(phone: Phone) -> None:
    device: AndroidPhone = open_phone()
    with pytest.raises(DeviceError, match="not entered"):
        device.scratch("x")
