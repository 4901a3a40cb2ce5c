"""What can go wrong with a test phone goes wrong as told, once, and is seen by the real adb."""

import re
import time

import pytest

from tests.phone import Fault, Phone
from tests.phone.faults import GARBAGE

FOLDER = "/data/local/tmp"
PRINTS = "echo first; sleep 0.1; echo second; sleep 0.1; echo third"


@pytest.mark.parametrize(
    ("fault", "stdout", "status"),
    [
        ({"action": "unplug"}, b"", 255),
        ({"action": "unplug", "at": "output", "after_bytes": 8}, b"first\nse", 255),
        ({"action": "unplug", "at": "end"}, b"first\nsecond\nthird\n", 255),
        ({"action": "cut", "at": "output", "after_bytes": 8}, b"first\nse", 0),
        ({"action": "kill", "at": "output", "after_bytes": 6}, b"first\nsecond\n", 137),
        ({"action": "exit", "at": "end", "status": 5}, b"first\nsecond\nthird\n", 5),
        ({"action": "exit", "at": "output", "after_bytes": 8, "status": 5}, b"first\nse", 5),
        ({"action": "fail", "status": 20, "message": "no"}, b"", 20),
        (
            {"action": "garbage", "at": "output", "after_bytes": 6},
            b"first\n" + GARBAGE + b"second\nthird\n",
            0,
        ),
    ],
)
def test_a_command_goes_wrong(phone, fault, stdout, status):
    phone.add_fault("^shell:echo first", **fault)
    assert phone.faults_fired == 0
    done = phone.adb("shell", PRINTS)
    assert (done.stdout, done.returncode) == (stdout, status)
    assert phone.faults_fired == 1
    phone.wait_until(lambda: phone.processes() == [])


def test_the_nth_goes_wrong_and_others_do_not(phone):
    phone.add_fault("echo x", "exit", at="end", status=9, nth=2)
    assert [phone.adb("shell", "echo x").returncode for _ in range(3)] == [0, 9, 0]
    phone.add_fault("echo y", "exit", at="end", status=9, nth=0)
    assert [phone.adb("shell", "echo y").returncode for _ in range(3)] == [9, 9, 9]
    phone.clear_faults()
    assert phone.adb("shell", "echo y").returncode == 0


def test_a_command_hangs_until_its_client_gives_up(phone):
    phone.add_fault("^shell:cat", "hang", at="input", after_bytes=2)
    with phone.running("shell", "cat; echo done") as adb:
        adb.stdin.write(b"abcd\n")
        adb.stdin.flush()
        assert adb.stdout.read(2) == b"ab"
        time.sleep(0.2)
        assert adb.poll() is None
        adb.kill()
    phone.wait_until(lambda: phone.processes() == [])


def test_an_unplugged_phone_comes_back_by_itself(phone, adb_server):
    phone.add_fault("^shell:", "unplug", at="output", after_bytes=2, back_after_s=0.2)
    assert phone.adb("shell", "echo hello").returncode == 255
    assert adb_server.devices().get(phone.serial) != "device"
    phone.wait_until(lambda: adb_server.devices().get(phone.serial) == "device")
    assert phone.adb("shell", "echo hello").stdout == b"hello\n"


def test_an_unplugged_phone_stays_away_until_it_is_plugged_in(phone, adb_server):
    phone.unplug()
    phone.wait_until(lambda: adb_server.devices().get(phone.serial) != "device")
    assert b"failed to connect" in phone.connect().encode()
    phone.plug()
    assert adb_server.devices()[phone.serial] == "device"
    assert phone.adb("shell", "echo hello").stdout == b"hello\n"


@pytest.mark.parametrize(
    "message", ["No space left on device", "Permission denied", "Read-only file system"]
)
@pytest.mark.parametrize("moment", [{}, {"at": "input", "after_bytes": 100_000}, {"at": "end"}])
def test_a_push_fails(phone, tmp_path, message, moment):
    (tmp_path / "x").write_bytes(bytes(200_000))
    phone.add_fault("^sync:SEND .*/x$", "fail", message=message, **moment)
    done = phone.adb("push", tmp_path / "x", FOLDER)
    assert done.returncode == 1
    assert message.encode() in done.stderr
    assert phone.adb("push", tmp_path / "x", FOLDER).returncode == 0


@pytest.mark.parametrize(("way", "at"), [("push", "input"), ("pull", "output")])
def test_a_phone_goes_away_in_the_middle_of_a_file(phone, tmp_path, way, at):
    (tmp_path / "x").write_bytes(bytes(3_000_000))
    if way == "pull":
        phone.adb("push", tmp_path / "x", FOLDER)
    phone.add_fault("^sync:(SEND|RECV)", "unplug", at=at, after_bytes=1_000_000)
    words = [tmp_path / "x", FOLDER] if way == "push" else [f"{FOLDER}/x", tmp_path / "y"]
    assert phone.adb(way, *words).returncode == 1
    assert phone.faults_fired == 1


def test_the_system_refuses(phone):
    phone.add_fault("^system:settings put", "fail", message="denied", status=255)
    done = phone.adb("shell", "settings put global x 1; echo $?")
    assert (done.stdout, done.stderr) == (b"255\n", b"denied\n")
    assert "x" not in phone.settings["global"]


@pytest.mark.parametrize(
    ("access", "state", "said"),
    [("refuses", "unauthorized", b"device unauthorized"), ("silent", "offline", b"device offline")],
)
def test_a_phone_that_lets_nobody_in(start_phone, adb_server, access, state, said):
    phone = start_phone("pixel_8", access=access)
    assert adb_server.devices()[phone.serial] == state
    assert said in phone.adb("shell", "true").stderr
    assert phone.log == []


def test_a_key_that_the_user_accepted_is_known_again(start_phone, adb_server):
    phone = start_phone("pixel_8", access="accepts")
    phone.wait_until(lambda: adb_server.devices()[phone.serial] == "device")
    assert phone.connect() == f"connected to {phone.serial}"
    assert phone.adb("shell", "echo x").stdout == b"x\n"


def test_the_server_is_killed_and_another_takes_its_place(phone, adb_server):
    with phone.running("shell", "cat") as adb:
        phone.wait_until(lambda: ["cat"] in phone.processes())
        adb_server.kill()
        assert adb.wait(timeout=10) != 0
    phone.wait_until(lambda: phone.processes() == [])
    assert phone.serial not in adb_server.devices()  # which has started a server
    phone.connect()
    assert phone.adb("shell", "echo x").stdout == b"x\n"


def test_two_phones_of_one_model_are_two(start_phone, adb_server):
    one, two = start_phone("pixel_8"), start_phone("pixel_8")
    one.adb("shell", f"echo one > {FOLDER}/x")
    assert (one.files(), two.files()) == (["x"], [])
    one.unplug()
    assert two.adb("shell", "echo x").stdout == b"x\n"


@pytest.mark.parametrize(
    "words", [("x", "explode"), ("x", "kill"), ("(", "hang"), ("x", "cut", "end")]
)
def test_a_fault_that_cannot_be_is_refused(words):
    with pytest.raises((ValueError, re.error), match=r"no such|nothing to|unterminated"):
        Fault(*words)


def test_nothing_is_left_of_a_phone(start_phone, phone_image, adb_server, tmp_path):
    with Phone("pixel_8", server=adb_server, image=phone_image, folder=tmp_path / "p") as phone:
        phone.adb("shell", "sleep 100 >/dev/null 2>&1 &")
        phone.wait_until(lambda: phone.processes() == [["sleep", "100"]])
        root = phone.root
    assert phone.serial not in adb_server.devices()
    assert not root.exists()
    assert list(tmp_path.iterdir()) == []
