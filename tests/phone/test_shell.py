"""Shells of a test phone, through the real adb."""

import pytest


def test_output_errors_and_status_come_apart(phone):
    done = phone.adb("shell", "echo out; echo err >&2; exit 7")
    assert (done.returncode, done.stdout, done.stderr) == (7, b"out\n", b"err\n")
    assert phone.lines("shell") == ["echo out; echo err >&2; exit 7"]


def test_the_first_protocol_mixes_them_and_has_no_status(phone):
    done = phone.adb("shell", "-x", "echo out; echo err >&2; exit 7")
    assert (done.returncode, done.stdout) == (0, b"out\nerr\n")


@pytest.mark.parametrize("size", [0, 1, 300_000, 3_000_000])
def test_standard_input_comes_and_ends(phone, size):
    data = (bytes(range(256)) * (size // 256 + 1))[:size]
    assert phone.adb("shell", "cat; echo end", data=data).stdout == data + b"end\n"


def test_exec_is_a_plain_pipe(phone):
    assert phone.adb("exec-out", "printf 'a\\r\\n\\0b'").stdout == b"a\r\n\0b"
    assert phone.lines("exec") == ["printf 'a\\r\\n\\0b'"]


@pytest.mark.parametrize(
    "line", ["echo 'a  b' \"$((1+1))\" '$(id)' ü \\;", "printf '%s|' 'x\ny' \"'\" '\"' '`id`'"]
)
def test_a_line_comes_as_it_was_written(phone, line):
    meant = b"a  b 2 $(id) \xc3\xbc ;\n" if line.startswith("echo") else b"x\ny|'|\"|`id`|"
    assert phone.adb("shell", line).stdout == meant
    assert phone.lines("shell")[-1] == line


@pytest.mark.parametrize(("line", "status"), [("kill -9 $$", 137), ("true", 0), ("nothing", 127)])
def test_the_exit_status_is_told(phone, line, status):
    assert phone.adb("shell", line).returncode == status


def test_the_shell_ends_when_its_background_has_closed_the_output(phone):
    done = phone.adb("shell", "(sleep 0.2; echo late) & echo early")
    assert done.stdout == b"early\nlate\n"


def test_hanging_up_is_sighup_and_an_end_of_input_and_no_more(phone):
    guard = "trap 'echo > hup' HUP; while read -r _; do :; done; sleep 0.1; echo > end"
    with phone.running("shell", f"cd /data/local/tmp; {guard}"):
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


def test_what_ignores_it_goes_on_and_is_seen(phone):
    with phone.running("shell", "trap '' HUP; sleep 60 <&- >&- 2>&-") as adb:
        phone.wait_until(lambda: ["sleep", "60"] in phone.processes())
        adb.kill()
    phone.adb("shell", "true")
    assert ["sleep", "60"] in phone.processes()
    phone.adb("shell", "pkill sleep")
    phone.wait_until(lambda: phone.processes() == [])


def test_other_services_are_refused_and_logged(phone):
    assert phone.adb("reverse", "tcp:1", "tcp:1").returncode != 0
    (asked,) = phone.lines("refused")
    assert asked.startswith("reverse:")
