"""What phones print, of several versions and makers, and what is read from it."""

from __future__ import annotations

import pytest

from lightmobile.device_bench.devices.android.adb import Listed
from lightmobile.device_bench.devices.android.choice import choose, why_unusable
from lightmobile.device_bench.devices.android.clusters import cores_of, describe, find_clusters
from lightmobile.device_bench.devices.android.condition import (
    parse_battery,
    parse_condition,
    parse_thermal,
)
from lightmobile.device_bench.devices.android.identity import (
    check_usable,
    is_emulated,
    parse_identity,
    parse_properties,
)
from lightmobile.device_bench.schema import Condition, DeviceIdentity
from lightmobile.errors import DeviceError, UsageError

SAMSUNG_12 = """\
IsStatusOverride: false
ThermalEventListeners:
\tcallbacks: 1
\tkilled: false
\tbroadcasts count: -1
ThermalStatusListeners:
\tcallbacks: 4
\tkilled: false
\tbroadcasts count: -1
Thermal Status: 0
Cached temperatures:
\tTemperature{mValue=0.0, mType=2, mName=SUBBAT, mStatus=0}
\tTemperature{mValue=35.6, mType=0, mName=AP, mStatus=0}
\tTemperature{mValue=33.8, mType=2, mName=BAT, mStatus=0}
HAL Ready: true
HAL connection:
\tThermalHAL 2.0 connected: yes
Current temperatures from HAL:
\tTemperature{mValue=25.6, mType=0, mName=AP, mStatus=0}
\tTemperature{mValue=23.8, mType=2, mName=BAT, mStatus=0}
\tTemperature{mValue=24.7, mType=3, mName=LRB, mStatus=0}
\tTemperature{mValue=25.7, mType=5, mName=PA, mStatus=0}
\tTemperature{mValue=0.0, mType=2, mName=SUBBAT, mStatus=0}
\tTemperature{mValue=0.0, mType=4, mName=USB, mStatus=0}
Current cooling devices from HAL:
Temperature static thresholds from HAL:
"""
PIXEL_14 = """\
IsStatusOverride: false
Thermal Status: 2
Cached temperatures:
\tTemperature{mValue=41.2, mType=3, mName=VIRTUAL-SKIN, mStatus=2}
HAL Ready: true
HAL connection:
\tThermalHAL AIDL 1 connected: yes
Current temperatures from HAL:
\tTemperature{mValue=40.93, mType=3, mName=VIRTUAL-SKIN, mStatus=2}
\tTemperature{mValue=61.0, mType=0, mName=BIG, mStatus=0}
\tTemperature{mValue=55.0, mType=10, mName=TPU, mStatus=0}
\tTemperature{mValue=NaN, mType=9, mName=npu, mStatus=0}
\tTemperature{mValue=3900.0, mType=6, mName=vbat, mStatus=0}
\tTemperature{mValue=38.1, mType=2, mName=battery, mStatus=0}
Current cooling devices from HAL:
\tCoolingDevice{mValue=3, mType=2, mName=thermal-cpufreq-2}
"""
# Types numbered in a way of its own, and told by the names.
OTHER_NUMBERS = """\
Thermal Status: 0
HAL Ready: true
Current temperatures from HAL:
\tTemperature{mValue=24.0, mType=1, mName=TYPE_CPU, mStatus=0}
\tTemperature{mValue=24.4, mType=3, mName=TYPE_BATTERY, mStatus=0}
\tTemperature{mValue=25.3, mType=4, mName=TYPE_SKIN, mStatus=0}
\tTemperature{mValue=-99.9, mType=6, mName=TYPE_POWER_AMPLIFIER, mStatus=0}
"""
NO_HAL_10 = """\
IsStatusOverride: true
Thermal Status: 3
Cached temperatures:
\tTemperature{mValue=30.5, mType=3, mName=skin, mStatus=0}
HAL Ready: false
"""


@pytest.mark.parametrize(
    ("text", "status", "sensors"),
    [
        (
            SAMSUNG_12,
            0,
            {
                "AP": ("cpu", 25.6),
                "BAT": ("battery", 23.8),
                "LRB": ("skin", 24.7),
                "PA": ("power amplifier", 25.7),
            },
        ),
        (
            PIXEL_14,
            2,
            {
                "VIRTUAL-SKIN": ("skin", 40.93),
                "BIG": ("cpu", 61.0),
                "TPU": ("tpu", 55.0),
                "battery": ("battery", 38.1),
            },
        ),
        (
            OTHER_NUMBERS,
            0,
            {
                "TYPE_CPU": ("cpu", 24.0),
                "TYPE_BATTERY": ("battery", 24.4),
                "TYPE_SKIN": ("skin", 25.3),
            },
        ),
        (NO_HAL_10, 3, {"skin": ("skin", 30.5)}),
        ("Can't find service: thermalservice\n", None, {}),
        ("Thermal Status: 99\nTemperature{mValue=1e999, mType=0, mName=x, mStatus=0}", None, {}),
        ("", None, {}),
    ],
    ids=["samsung-12", "pixel-14", "other-numbers", "android-10", "android-9", "nonsense", "none"],
)
def test_thermal(text: str, status: int | None, sensors: dict[str, tuple[str, float]]) -> None:
    found = Condition(**parse_thermal(text))
    assert found.thermal_status == status
    assert {n: (s.type, s.celsius) for n, s in found.sensors.items()} == sensors
    assert found.thermal_status_overridden == ("IsStatusOverride: true" in text)


BATTERY = """\
Current Battery Service state:
{held}  AC powered: false
  USB powered: true
  Wireless powered: false
  Max charging current: 500000
  Charge counter: 2910000
  status: 2
  health: 2
  present: true
  level: 87
  scale: 100
  voltage: 4364
  temperature: 291
  technology: Li-poly
"""


def test_battery() -> None:
    found = Condition(**parse_battery(BATTERY.format(held="")))
    assert found.battery_percent == 87
    assert found.battery_celsius == 29.1
    assert found.battery_status == "charging"
    assert found.plugged == ("usb",)
    assert not found.battery_held


def test_held_readings_of_a_battery_are_rejected() -> None:
    held = "  (UPDATES STOPPED -- use 'reset' to restart)\n"
    found = Condition(**parse_battery(BATTERY.format(held=held)))
    assert found == Condition(battery_held=True)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Can't find service: battery",
        "  level: 10000000000000000000\n  scale: 0\n  temperature: x\n  status: 77\n",
        "  level: 5\n  scale: 0\n",
        "  level: 500\n  scale: 100\n  temperature: 999999999\n",
    ],
)
def test_batteries_that_tell_nothing_usable(text: str) -> None:
    found = Condition(**parse_battery(text))
    assert (found.battery_percent, found.battery_celsius, found.battery_status) == (None,) * 3


CORES = "\n".join(
    f"cpu{core}/cpufreq/{name}:{value}"
    for core, max_khz in enumerate([2016000] * 3 + [2803200] * 4 + [3187200])
    for name, value in (
        ("cpuinfo_max_freq", max_khz),
        ("scaling_max_freq", max_khz - 100000),
        ("scaling_cur_freq", 614400),
        ("scaling_governor", "walt"),
    )
)
PARTS = ["0xd46"] * 3 + ["0xd4d"] * 2 + ["0xd47"] * 2 + ["0xd4e"]
FEATURES = "fp asimd asimdhp asimddp i8mm bf16"
CPUINFO = "\n\n".join(
    f"processor\t: {core}\nBogoMIPS\t: 38.40\nFeatures\t: {FEATURES}\n"
    f"CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x1\nCPU part\t: {part}"
    for core, part in enumerate(PARTS)
)


def test_condition() -> None:
    found = parse_condition(
        {
            "thermal": SAMSUNG_12,
            "battery": BATTERY.format(held=""),
            "cores": CORES,
            "load": "3.14 2.71 1.41 2/3000 12345\n",
            "power": "  mWakefulness=Dozing",
        }
    )
    assert found.load_average == 3.14
    assert found.frequency_mhz == (614.4,) * 8
    assert found.max_frequency_mhz == (1916.0,) * 3 + (2703.2,) * 4 + (3087.2,)
    assert found.governor == "walt"
    assert found.screen == "dozing"


def test_condition_of_a_core_that_is_off() -> None:
    text = "cpu0/cpufreq/scaling_cur_freq:300000\ncpu2/cpufreq/scaling_cur_freq:<unknown>\n"
    text += "cpu3/cpufreq/scaling_cur_freq:900000\n./cpu4/cpufreq/scaling_cur_freq:900000\n"
    said = dict.fromkeys(("thermal", "battery", "load", "power"), "")
    found = parse_condition({**said, "cores": text})
    assert found.frequency_mhz == (300.0, None, None, 900.0, 900.0)


def properties(**values: str) -> str:
    return "".join(f"[{key.replace('_', '.')}]: [{value}]\n" for key, value in values.items())


PIXEL_8 = """\
[ro.boot.hardware]: [shiba]
[ro.build.fingerprint]: [google/shiba/shiba:14/UQ1A.240205.004/11269751:user/release-keys]
[ro.build.version.release]: [14]
[ro.build.version.sdk]: [34]
[ro.build.version.security_patch]: [2024-02-05]
[ro.debuggable]: [0]
[ro.hardware]: [shiba]
[ro.product.cpu.abi]: [arm64-v8a]
[ro.product.cpu.abilist]: [arm64-v8a]
[ro.product.manufacturer]: [Google]
[ro.product.model]: [Pixel 8]
[ro.soc.manufacturer]: [Google]
[ro.soc.model]: [Tensor G3]
"""
ONEPLUS_8_0 = """\
[ro.board.platform]: [msm8998]
[ro.build.fingerprint]: [OnePlus/OnePlus5/OnePlus5:8.0.0/OPR6.170623.013/12041042:user/release-keys]
[ro.build.version.release]: [8.0.0]
[ro.build.version.sdk]: [26]
[ro.product.cpu.abi]: [arm64-v8a]
[ro.product.manufacturer]: [OnePlus]
[ro.product.model]: [ONEPLUS A5000]
"""


def identity(properties: str, **said: str) -> DeviceIdentity:
    sections = dict.fromkeys(("cpuinfo", "memory", "kernel", "page", "cores"), "")
    return parse_identity("S1", {**sections, **said, "properties": properties})


def test_identity_of_a_new_phone() -> None:
    found = identity(
        PIXEL_8,
        cpuinfo=CPUINFO,
        memory="MemTotal:        7731824 kB",
        kernel="5.15.137-android14-11",
        page="4096",
        cores=CORES,
    )
    assert (found.manufacturer, found.model, found.soc) == ("Google", "Pixel 8", "Google Tensor G3")
    assert (found.os_version, found.sdk, found.security_patch) == ("14", 34, "2024-02-05")
    assert found.fingerprint == ("google/shiba/shiba:14/UQ1A.240205.004/11269751:user/release-keys")
    assert (found.abi, found.machine, found.debuggable) == ("arm64-v8a", "arm64", False)
    assert (found.memory_bytes, found.page_bytes) == (7731824 * 1024, 4096)
    assert [describe(each) for each in found.clusters] == [
        "3 x Cortex-A510 at 2016 MHz",
        "2 x Cortex-A715 at 2803 MHz",
        "2 x Cortex-A710 at 2803 MHz",
        "1 x Cortex-X3 at 3187 MHz",
    ]
    assert (found.logical_cores, found.governor) == (8, "walt")
    assert {"NEON", "DOTPROD", "I8MM"} <= set(found.instruction_sets)
    assert not found.emulated
    assert found.label == "android:S1"
    check_usable(found)


def test_identity_of_an_old_phone_that_tells_little() -> None:
    found = identity(ONEPLUS_8_0, page="KernelPageSize:        4 kB")
    assert (found.soc, found.sdk, found.os_version) == ("msm8998", 26, "8.0.0")
    assert (found.debuggable, found.security_patch, found.memory_bytes) == (None, None, None)
    assert found.page_bytes == 4096
    assert found.clusters == ()
    check_usable(found)


@pytest.mark.parametrize(
    ("abi", "sdk", "says"),
    [
        ("armeabi-v7a", "33", "built for arm64-v8a, and its programs are armeabi-v7a"),
        ("x86_64", "34", "built for arm64-v8a, and its programs are x86_64"),
        ("arm64-v8a", "25", r"Android 7.1.2 \(API 25\)"),
        ("arm64-v8a", "soon", "API ?"),
        ("", "34", "unknown"),
    ],
)
def test_phones_that_cannot_run_the_runners(abi: str, sdk: str, says: str) -> None:
    text = properties(
        ro_product_cpu_abi=abi, ro_build_version_sdk=sdk, ro_build_version_release="7.1.2"
    )
    with pytest.raises(DeviceError, match=says) as caught:
        check_usable(identity(text))
    assert caught.value.fix


@pytest.mark.parametrize(
    "text",
    [
        "[ro.kernel.qemu]: [1]",
        "[ro.boot.qemu]: [1]",
        "[ro.hardware]: [ranchu]",
        "[ro.boot.hardware]: [goldfish]",
        "[ro.lightmobile.emulated]: [1]",
    ],
)
def test_emulators_say_so(text: str) -> None:
    assert is_emulated(parse_properties(text))
    assert identity(text + "\n").emulated


def test_hostile_words_are_bounded_and_made_printable() -> None:
    escape = "\x1b]0;owned\x07\u202e"
    found = identity(
        f"[ro.product.model]: [{escape}{'x' * 1900}]\n[ro.product.manufacturer]: [$(reboot)]\n",
        cpuinfo=f"processor\t: {'9' * 5000}\nHardware\t: {escape * 1000}\n",
        cores=f"cpu0/cpufreq/cpuinfo_max_freq:{'9' * 400}\ncpu{'9' * 400}/cpufreq/x:1\n",
        memory="MemTotal: 99999999999999999999 kB",
        page="0",
    )
    assert found.model is not None
    assert found.model.isprintable()
    assert found.processor.isprintable()
    assert found.manufacturer == "$(reboot)"
    assert (found.memory_bytes, found.page_bytes, found.clusters) == (None, None, ())


def clusters(*kinds: tuple[int, str, float | None]) -> tuple[object, ...]:
    names: dict[int, str] = {}
    mhz: dict[int, float] = {}
    for count, name, at in kinds:
        for _ in range(count):
            core = len(names)
            names[core] = name
            if at is not None:
                mhz[core] = at
    return find_clusters(names, mhz)


FOUR = ((3, "Cortex-A510", 2016), (2, "A715", 2803), (2, "A710", 2803), (1, "Cortex-X3", 3187))
BIG_FIRST = ((2, "Oryon", 4320.0), (6, "Oryon", 3532.0))


@pytest.mark.parametrize(
    ("kinds", "word", "cores"),
    [
        (FOUR, "little", (0, 1, 2)),
        (FOUR, "mid", (3, 4, 5, 6)),
        (FOUR, "big", (7,)),
        (FOUR, "all", tuple(range(8))),
        (BIG_FIRST, "big", (0, 1)),
        (BIG_FIRST, "little", (2, 3, 4, 5, 6, 7)),
        (((4, "Cortex-A53", 1800.0),), "mid", (0, 1, 2, 3)),
        (((4, "", None),), "big", (0, 1, 2, 3)),
    ],
)
def test_cores_by_their_class(kinds: tuple, word: str, cores: tuple[int, ...]) -> None:
    assert cores_of(word, clusters(*kinds)) == cores


@pytest.mark.parametrize(
    ("kinds", "word", "says"),
    [
        (BIG_FIRST, "mid", "no mid cores.*6 x Oryon at 3532 MHz"),
        (((4, "A55", None), (4, "A78", None)), "big", "not known"),
        (FOUR, "huge", "no cores 'huge'"),
    ],
)
def test_classes_that_a_phone_lacks(kinds: tuple, word: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        cores_of(word, clusters(*kinds))


UDEV = "no permissions (missing udev rules? user is in the plugdev group); see [http://x]"


@pytest.mark.parametrize(
    ("phones", "serial", "says"),
    [
        ([], None, "There is no phone.*adb sees none"),
        ([("A", "device")], "B", "no phone 'B'.*adb sees A"),
        ([("A", "device"), ("B", "device")], None, r"2 phones.*A \(device\), B \(device\)"),
        ([("A", "unauthorized")], None, "A cannot be used.*accept the question"),
        ([("A", "offline")], "A", "does not answer the adb server"),
        ([("A", UDEV)], "A", "may not open it.*udev"),
        ([("A", "recovery")], "A", "recovery"),
        ([("A", "weird")], "A", "state is 'weird'"),
        ([("A", "device"), ("A", "device")], "A", "2 phones with the serial 'A'"),
        ([("a b;$(reboot)\x1b[2J", "offline")], None, "cannot be used"),
    ],
)
def test_choices_that_are_none(
    monkeypatch: pytest.MonkeyPatch, phones: list, serial: str | None, says: str
) -> None:
    monkeypatch.delenv("ANDROID_SERIAL", raising=False)
    with pytest.raises(DeviceError, match=says) as caught:
        choose([Listed(*each) for each in phones], serial)
    assert caught.value.fix


def test_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANDROID_SERIAL", raising=False)
    one, other, locked = Listed("A", "device"), Listed("B", "device"), Listed("C", "unauthorized")
    assert choose([one], None) == one
    assert choose([locked, one], None) == one
    assert choose([one, other], "B") == other
    monkeypatch.setenv("ANDROID_SERIAL", "B")
    assert choose([one, other], None) == other
    assert choose([one, other], "A") == one
    assert why_unusable(one) is None
