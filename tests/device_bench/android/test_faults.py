"""What goes wrong on the way to a phone and on it: said clearly, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lightmobile.device_bench.devices.android.phone import open_phone
from lightmobile.device_bench.devices.android.run import UnrestoredWarning
from lightmobile.errors import DeviceError
from tests.device_bench.android.checks import left_as_it_was, plug_in, runs
from tests.phone.phone import Phone

Start = Callable[..., Phone]

# Most phones here are gone before they could be seen to restore themselves; it is looked at below.
pytestmark = pytest.mark.filterwarnings("ignore:.*was not seen to restore its settings")


def use(phone: Phone, file: Path) -> None:
    """Do on a phone what every bench does, but for running a network."""
    with open_phone(phone.serial) as device:
        device.place(file)
        device.condition()
        device.fix_clocks()
        device.run_program("exec sleep 0.05", timeout_s=10)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.pte"
    path.write_bytes(os.urandom(500_000))
    return path


@dataclass(frozen=True)
class Case:
    """A phone that is as it should not be: how it begins, what goes wrong, and what is said."""

    says: str
    fault: dict[str, Any] = field(default_factory=dict)
    phone: dict[str, Any] = field(default_factory=dict)


UNPLUG = {"action": "unplug", "back_after_s": None}
CASES = {
    # Phones that cannot be used.
    "unauthorized": Case("accept the question", phone={"access": "refuses"}),
    "silent": Case("does not answer the adb server|no phone", phone={"access": "silent"}),
    "32-bit": Case(
        "its programs are armeabi-v7a", phone={"properties": {"ro.product.cpu.abi": "armeabi-v7a"}}
    ),
    "x86": Case("its programs are x86_64", phone={"properties": {"ro.product.cpu.abi": "x86_64"}}),
    "android 7": Case("too old", phone={"properties": {"ro.build.version.sdk": "25"}}),
    "old adbd": Case("lost|shell", phone={"adb_features": ("cmd",)}),
    "full storage": Case("has no room", phone={"storage_mb": 20}),
    "clocks that stay": Case("did not fix its clocks", phone={"fixed_performance": "ignores"}),
    "clocks refused": Case("cannot fix its clocks", phone={"fixed_performance": "refuses"}),
    # Unplugged, for good, in every phase.
    "unplugged: identity": Case("was lost", {"match": "shell:.*getprop", **UNPLUG}),
    "unplugged: half an identity": Case(
        "was lost", {"match": "shell:.*getprop", "at": "output", "after_bytes": 100, **UNPLUG}
    ),
    "unplugged: identity told": Case(
        "was lost", {"match": "shell:.*getprop", "at": "end", **UNPLUG}
    ),
    "unplugged: folder": Case("was lost", {"match": "shell:.*mkdir -p", **UNPLUG}),
    "unplugged: guard": Case("run begin|was lost", {"match": "shell:.*trap", **UNPLUG}),
    "unplugged: settings read": Case("was lost", {"match": "system:settings get", **UNPLUG}),
    "unplugged: settings written": Case("was lost", {"match": "system:settings put", **UNPLUG}),
    "unplugged: screen": Case(
        "was lost", {"match": "system:settings put system screen_brightness_mode", **UNPLUG}
    ),
    "unplugged: push": Case(
        "was lost", {"match": "sync:SEND", "at": "input", "after_bytes": 200_000, **UNPLUG}
    ),
    "unplugged: sums": Case("was lost", {"match": "shell:.*sha256sum", "nth": 2, **UNPLUG}),
    "unplugged: condition": Case("was lost", {"match": "system:dumpsys battery", **UNPLUG}),
    "unplugged: clocks": Case("was lost", {"match": "system:cmd power", **UNPLUG}),
    "unplugged: program": Case("was lost", {"match": "shell:.*sleep 0.05", **UNPLUG}),
    # Answers that are none.
    "half an answer": Case(
        "was lost",
        {"match": "shell:.*getprop", "nth": 0, "action": "cut", "at": "output", "after_bytes": 300},
    ),
    "killed at its first word": Case(
        "was lost", {"match": "shell:.*getprop", "nth": 0, "action": "kill", "at": "output"}
    ),
    "shell fails": Case(
        "was lost", {"match": "shell:.*getprop", "nth": 0, "action": "fail", "message": "closed"}
    ),
    "push refused": Case(
        "Free some", {"match": "sync:SEND", "action": "fail", "message": "No space left on device"}
    ),
    "push not permitted": Case(
        "Permission denied",
        {
            "match": "sync:SEND",
            "action": "fail",
            "message": "couldn't create file: Permission denied",
        },
    ),
    "push damaged": Case(
        "does not hold what was pushed",
        {"match": "sync:SEND", "action": "garbage", "at": "input", "after_bytes": 1000},
    ),
}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n == "silent" else n for n in CASES]
)
def test_what_goes_wrong_is_said_and_undone(name: str, start_phone: Start, file: Path) -> None:
    case = CASES[name]
    phone = start_phone(**case.phone)
    if "access" in case.phone:
        phone.connect()
    if case.fault:
        phone.add_fault(**case.fault)
    with left_as_it_was(phone):
        with pytest.raises(DeviceError, match=case.says) as caught:
            use(phone, file)
        assert caught.value.what
        assert "Traceback" not in str(caught.value)
    if case.fault:
        assert phone.faults_fired
    # The next use of the phone is as if nothing had been.
    phone.clear_faults()
    if case.fault:
        plug_in(phone)
        with left_as_it_was(phone):
            use(phone, file)


@pytest.mark.parametrize("moment", ["before", "output", "end"])
@pytest.mark.parametrize("request_", ["shell:.*getprop", "shell:.*sha256sum", "sync:SEND"])
def test_what_may_be_done_twice_is_where_a_cable_lets_go_for_a_moment(
    request_: str, moment: str, phone: Phone, file: Path
) -> None:
    if request_ == "sync:SEND":
        moment = moment.replace("output", "input")
    phone.add_fault(request_, "unplug", at=moment, back_after_s=0.1)
    device = open_phone(phone.serial)
    with left_as_it_was(phone), device:
        path = device.place(file)
        assert (phone.root / path.lstrip("/")).read_bytes() == file.read_bytes()
        assert device.is_lost == (request_ != "shell:.*getprop")
    assert phone.faults_fired == 1


def test_a_phone_that_was_lost_is_waited_for(phone: Phone, file: Path) -> None:
    with left_as_it_was(phone), open_phone(phone.serial) as device:
        path = device.place(file)
        scratch = device.scratch("")
        assert not device.is_lost
        phone.unplug()
        assert device.is_lost
        phone.plug()
        device.reconnect()
        assert not device.is_lost
        assert device.place(file) == path
        assert device.scratch("") != scratch
        assert phone.settings["global"]["stay_on_while_plugged_in"] == "7"


def test_a_phone_that_does_not_come_back_is_given_up(phone: Phone) -> None:
    with open_phone(phone.serial) as device:
        phone.unplug()
        assert device.is_lost
        device.reconnect_timeout_s = 0.5
        with pytest.raises(DeviceError, match=phone.serial):
            device.reconnect()
    phone.wait_until(lambda: not runs(phone))


SCRIPT = """
import signal, sys, time
from lightmobile.device_bench.devices.android.phone import open_phone

def end(*_):
    raise KeyboardInterrupt

signal.signal(signal.SIGTERM, end)
signal.signal(signal.SIGINT, signal.default_int_handler)
with open_phone(sys.argv[1]) as device:
    device.fix_clocks()
    print("in", flush=True)
    # As a runner's, its command line tells that it is ours.
    device.run_program(
        f"exec sh -c 'while :; do sleep 0.5; done' {device.scratch('hung')}", timeout_s=90
    )
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_ended_from_outside(number: signal.Signals, phone: Phone) -> None:
    with left_as_it_was(phone):
        words = [sys.executable, "-c", SCRIPT, phone.serial]
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"in\n"
            phone.wait_until(lambda: any("/hung" in " ".join(e) for e in phone.processes()))
            process.send_signal(number)
            process.wait(timeout=20)


@pytest.mark.parametrize(
    "moment", ["mkdir -p", "trap", "settings put system", "sha256sum", "touch", "dumpsys battery"]
)
def test_an_interruption_in_any_phase(moment: str, phone: Phone, file: Path) -> None:
    """Each phase hangs; Ctrl-C comes then."""
    script = (
        "import signal, sys\n"
        "from pathlib import Path\n"
        "from lightmobile.device_bench.devices.android.phone import open_phone\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "with open_phone(sys.argv[1]) as device:\n"
        "    device.place(Path(sys.argv[2]))\n"
        "    device.condition()\n"
    )
    kind = "system" if moment.startswith(("settings", "dumpsys")) else "shell"
    phone.add_fault(f"{kind}:.*{moment}", "hang")
    with left_as_it_was(phone, moment):
        words = [sys.executable, "-c", script, phone.serial, str(file)]
        with subprocess.Popen(words, stderr=subprocess.PIPE) as process:
            phone.wait_until(lambda: phone.faults_fired, 10.0)
            process.send_signal(signal.SIGINT)
            process.wait(timeout=60)
            assert process.stderr is not None
            assert b"KeyboardInterrupt" in process.stderr.read()


def test_the_adb_server_is_killed_in_a_run(phone: Phone) -> None:
    with left_as_it_was(phone), open_phone(phone.serial) as device:
        phone.server.kill()
        with pytest.raises(DeviceError, match="was lost"):
            device.condition()


def test_the_guard_is_killed_on_the_phone(phone: Phone) -> None:
    with left_as_it_was(phone), open_phone(phone.serial) as device:
        guard = (phone.root / device.scratch("guard").lstrip("/")).read_text()
        phone.adb("shell", f"kill -9 {guard}")
        assert device.is_lost


def test_a_phone_that_refuses_settings_is_measured_without(start_phone: Start, file: Path) -> None:
    phone = start_phone(settings_writable=False, fixed_performance="fixes")
    with left_as_it_was(phone):
        with open_phone(phone.serial) as device:
            device.place(file)
            refused = {each.operation.name for each in device.changes if not each.is_as_wanted}
            assert refused == {
                "stay_on_while_plugged_in",
                "screen_off_timeout",
                "screen_brightness_mode",
            }
        # Nothing blocks the next run.
        use(phone, file)


def test_settings_that_cannot_be_restored_are_said_and_restored_next_time(phone: Phone) -> None:
    before = phone.state()
    with pytest.warns(UnrestoredWarning, match="refuses the commands"), open_phone(phone.serial):
        phone.add_fault("system:settings put", "fail", nth=0)
    assert phone.state() != before
    assert runs(phone)
    with pytest.raises(DeviceError, match="cannot be restored"), open_phone(phone.serial):
        pass
    phone.clear_faults()
    with open_phone(phone.serial):
        pass
    assert phone.state() == before
    assert not runs(phone)


def test_a_phone_that_restarts_in_a_run_is_restored_next_time(phone: Phone) -> None:
    before = phone.state()
    with open_phone(phone.serial) as device:
        guard = (phone.root / device.scratch("guard").lstrip("/")).read_text()
        # As when a battery dies: no process is left to tidy up, and no connection.
        phone.adb("shell", f"kill -9 {guard}")
        phone.unplug()
    assert phone.state() != before
    plug_in(phone)
    with open_phone(phone.serial):
        pass
    assert phone.state() == before
    assert not runs(phone)


def test_nothing_runs_from_a_disk_that_executes_nothing(start_phone: Start, tmp_path: Path) -> None:
    phone = start_phone(noexec=True)
    program = tmp_path / "program"
    program.write_text("#!/system/bin/sh\necho ran\n")
    with left_as_it_was(phone), open_phone(phone.serial) as device:
        path = device.place(program)
        with pytest.raises(DeviceError, match=r"Permission denied|can't execute"):
            device.run_program(f"chmod 755 {path} && exec {path}", timeout_s=10)
