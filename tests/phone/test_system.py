"""What a test phone's system answers, and that it keeps what is set."""

import pytest

from lightmobile.device_bench.devices.android.condition import parse_battery, parse_thermal
from tests.phone import list_fixtures, load_fixture
from tests.phone.test_files import needs_users


def said(phone, line):
    return phone.adb("shell", line).stdout.decode()


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("uname -m", "aarch64\n"),
        ("uname -r", "5.15.137-android14-11-g5ee1e4b8d2f4-ab11648361\n"),
        ("getprop ro.product.model", "Pixel 8\n"),
        ("getprop ro.nothing; getprop ro.nothing none", "\nnone\n"),
        ("getprop | grep ro.soc", "[ro.soc.manufacturer]: [Google]\n[ro.soc.model]: [Tensor G3]\n"),
        ("echo $0; pwd", "/system/bin/sh\n/\n"),
        ("cat /sys/devices/system/cpu/possible", "0-8\n"),
        ("cat /sys/devices/system/cpu/cpu8/cpufreq/cpuinfo_max_freq", "2914000\n"),
        ("grep -c ^processor /proc/cpuinfo", "9\n"),
        ("grep MemTotal /proc/meminfo", "MemTotal:        7651524 kB\n"),
        ("cat /sys/class/thermal/thermal_zone0/type", "VIRTUAL-SKIN\n"),
        ("cat /proc/self/comm", "cat\n"),
        ("wm size", "Physical size: 1080x2400\n"),
    ],
)
def test_a_phone_is_what_its_fixture_says(phone, line, meant):
    assert said(phone, line) == meant


@needs_users
def test_the_shell_is_the_user_shell(phone):
    assert said(phone, "id -un; id -u; id -G").split() == [
        *("shell", "2000"),
        *("2000", "1004", "1007", "1011", "1015", "1028", "3001", "3002", "3003", "3006"),
    ]


@needs_users
@pytest.mark.parametrize("path", ["/system/x", "/sys/x", "/data/x", "/x", "/proc/x"])
def test_the_shell_may_not_write_everywhere(phone, path):
    done = phone.adb("shell", f"echo > {path}")
    assert done.returncode != 0
    assert phone.adb("shell", f"ls {path}").returncode != 0


@pytest.mark.parametrize("name", list_fixtures())
def test_every_fixture_starts_and_its_dumps_are_read(start_phone, name):
    fixture = load_fixture(name)
    phone = start_phone(name)
    assert said(phone, "getprop ro.build.version.sdk").strip() == str(fixture.sdk)
    assert (
        said(phone, "grep -c ^processor /proc/cpuinfo; nproc").split()
        == [str(len(fixture.cluster_of_cores()))] * 2
    )
    battery = parse_battery(said(phone, "dumpsys battery"))
    assert battery["battery_percent"] == fixture.battery["level"]
    assert battery["plugged"] == (fixture.battery["plugged"],)
    thermal = parse_thermal(said(phone, "dumpsys thermalservice"))
    assert thermal["thermal_status"] == (0 if fixture.sdk >= 29 else None)
    assert bool(thermal["sensors"]) == (fixture.sdk >= 29)


def test_settings_are_kept_and_can_be_compared(phone):
    before = phone.state()
    assert said(phone, "settings get global stay_on_while_plugged_in") == "0\n"
    assert said(phone, "settings get global nothing") == "null\n"
    said(phone, "settings put global stay_on_while_plugged_in 7; settings put global new 'a b'")
    assert said(phone, "settings get global new") == "a b\n"
    assert phone.settings["global"]["stay_on_while_plugged_in"] == "7"
    assert phone.state() != before
    said(phone, "settings put global stay_on_while_plugged_in 0")
    assert said(phone, "settings delete global new") == "Deleted 1 rows\n"
    assert phone.state() == before
    assert "settings put global new a b" in phone.lines("system")


@pytest.mark.parametrize(
    ("change", "restore", "key"),
    [
        ("input keyevent KEYCODE_SLEEP", "input keyevent 224", "wakefulness"),
        ("dumpsys battery unplug", "dumpsys battery reset", "battery_held"),
        ("cmd thermalservice override-status 3", "cmd thermalservice reset", "thermal_overridden"),
        ("dumpsys deviceidle force-idle", "dumpsys deviceidle unforce", "idle"),
        ("setprop debug.x 1", "setprop debug.x 0", "properties"),
        ("svc power stayon true", "svc power stayon false", "settings"),
        (
            "cmd power set-fixed-performance-mode-enabled true",
            "cmd power set-fixed-performance-mode-enabled false",
            "fixed_performance",
        ),
    ],
)
def test_what_is_changed_is_seen_and_can_be_undone(phone, change, restore, key):
    phone.adb("shell", restore)
    before = phone.state()
    assert phone.adb("shell", change).returncode == 0
    changed = phone.state()
    assert {each for each in before if before[each] != changed[each]} == {key}
    assert phone.adb("shell", restore).returncode == 0
    assert phone.state() == before


def test_a_screen_that_sleeps_is_told(start_phone):
    phone = start_phone("pixel_8", awake=False)
    assert "mWakefulness=Asleep" in said(phone, "dumpsys power")
    said(phone, "input keyevent KEYCODE_WAKEUP")
    assert "mWakefulness=Awake" in said(phone, "dumpsys power")


@pytest.mark.parametrize(
    ("name", "status", "max_khz"),
    [
        ("pixel_8", 0, "1945000"),
        ("oneplus_12", 0, "3302400"),
        ("redmi_note_12_pro", 255, "2600000"),
    ],
)
def test_fixed_clocks_are_fixed_or_ignored_or_refused(start_phone, name, status, max_khz):
    phone = start_phone(name)
    done = phone.adb("shell", "cmd power set-fixed-performance-mode-enabled true")
    assert done.returncode == status
    last = len(phone.fixture.cluster_of_cores()) - 1
    path = f"/sys/devices/system/cpu/cpu{last}/cpufreq/scaling_max_freq"
    assert said(phone, f"cat {path}").strip() == max_khz


def test_settings_that_may_not_be_written_are_not(start_phone):
    phone = start_phone("redmi_note_12_pro")
    before = phone.state()
    done = phone.adb("shell", "settings put global stay_on_while_plugged_in 7")
    assert (done.returncode, b"SecurityException" in done.stderr) == (255, True)
    assert phone.state() == before


def test_heat_rises_and_falls_reading_by_reading(start_phone):
    phone = start_phone("pixel_8")
    phone.heat({"status": 2, "skin": 43.5, "battery": 41.0}, {"status": 0, "skin": 35.0})
    hot, cool, still = (parse_thermal(said(phone, "dumpsys thermalservice")) for _ in range(3))
    assert (hot["thermal_status"], hot["sensors"]["VIRTUAL-SKIN"].celsius) == (2, 43.5)
    assert (cool["thermal_status"], cool["sensors"]["VIRTUAL-SKIN"].celsius) == (0, 35.0)
    assert still == cool
    assert parse_battery(said(phone, "dumpsys battery"))["battery_celsius"] == 41.0


def test_held_readings_of_the_battery_stay(start_phone):
    phone = start_phone("pixel_8", battery_held=True)
    phone.heat({"battery": 44.0})
    said(phone, "dumpsys thermalservice")
    held = said(phone, "dumpsys battery")
    assert "(UPDATES STOPPED -- use 'reset' to restart)" in held
    assert "temperature: 293" in held
    assert "temperature: 440" in said(phone, "dumpsys battery reset; dumpsys battery")


def test_a_program_that_this_android_lacks_is_not_there(start_phone):
    phone = start_phone("nokia_7_plus", missing=["sha256sum"])
    assert phone.adb("shell", "sha256sum /system/bin/sh").returncode == 127
    assert phone.adb("shell", "sha1sum /system/bin/sh").returncode == 0
