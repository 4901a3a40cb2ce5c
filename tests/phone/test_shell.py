"""Shells of a test phone, through the real adb."""

import pytest


def test_output_errors_and_status_come_apart(phone):
    done = phone.adb("shell", "echo out; echo err >&2; exit 7")
    assert (done.returncode, done.stdout, done.stderr) == (7, b"out\n", b"err\n")
    assert phone.lines("shell") == ["echo out; echo err >&2; exit 7"]


def test_the_first_protocol_mixes_them_and_has_no_status(phone):
    done = phone.adb("shell", "-x", "echo out; echo err >&2; exit 7")
    assert (done.returncode, done.stdout) == (0, b"out\nerr\n")


def test_standard_input_comes_and_ends(phone):
    data = bytes(range(256)) * 4096
    done = phone.adb("shell", "cat; echo end", data=data)
    assert done.stdout == data + b"end\n"


def test_exec_is_a_plain_pipe(phone):
    assert phone.adb("exec-out", "printf 'a\\r\\n\\0b'").stdout == b"a\r\n\0b"
    assert phone.lines("exec") == ["printf 'a\\r\\n\\0b'"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("id -u; id -g", b"2000\n2000\n"),
        ("uname -m", b"aarch64\n"),
        ("getprop ro.product.model", b"Pixel 8\n"),
        ("echo $0; pwd", b"/system/bin/sh\n/\n"),
        ("printf abc | sha256sum", b"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  -\n"),
        ("cat /sys/devices/system/cpu/possible", b"0-8\n"),
        ("grep -c ^processor /proc/cpuinfo", b"9\n"),
        ("cat /sys/devices/system/cpu/cpu8/cpufreq/cpuinfo_max_freq", b"2914000\n"),
    ],
)  # fmt: skip
def test_a_phone_is_what_its_fixture_says(phone, line, said):
    done = phone.adb("shell", line)
    assert done.stdout == said, done.stderr


@pytest.mark.parametrize("path", ["/system/x", "/sys/x", "/data/x", "/x"])
def test_the_shell_may_not_write_everywhere(phone, path):
    done = phone.adb("shell", f"echo > {path}")
    assert done.returncode != 0
    assert b"denied" in done.stderr


def test_hanging_up_hangs_up_and_no_more(phone):
    """As adbd does: SIGHUP to the shell alone, and its standard input ends."""
    guard = (
        "cd /data/local/tmp; trap 'echo > hup' HUP; while read -r _; do :; done; sleep 0.1; echo > end"
    )
    with phone.running("shell", guard):
        phone.wait_until(phone.processes)
        phone.unplug()
        phone.wait_until(lambda: phone.files() == ["end", "hup"])
        phone.wait_until(lambda: phone.processes() == [])


def test_a_client_that_goes_away_hangs_up_too(phone):
    with phone.running("shell", "cat; echo > /data/local/tmp/end") as adb:
        phone.wait_until(lambda: ["cat"] in phone.processes())
        adb.kill()
        phone.wait_until(lambda: phone.processes() == [])
    assert phone.files() == []
