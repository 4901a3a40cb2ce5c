"""How a phone fares: heat, battery and clocks, in one round trip that takes tenths of a second."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lightmobile.device_bench.devices.android import sysfs
from lightmobile.device_bench.schema import Condition, Sensor

__all__ = ["SCRIPTS", "parse_battery", "parse_condition", "parse_thermal"]

#: What is asked, by the section that :func:`parse_condition` finds the answer in.
SCRIPTS = {
    "thermal": "dumpsys thermalservice",
    "battery": "dumpsys battery",
    "cores": sysfs.grep("scaling_cur_freq", "scaling_max_freq", "scaling_governor"),
    "load": "cat /proc/loadavg",
    "power": "dumpsys power | grep -m1 mWakefulness=",
}

# android.hardware.thermal's TemperatureType. Left out: 6, 7 and 8, whose values are volts,
# amperes and percent.
_TYPES = {
    -1: "unknown",
    0: "cpu",
    1: "gpu",
    2: "battery",
    3: "skin",
    4: "usb port",
    5: "power amplifier",
    9: "npu",
    10: "tpu",
    11: "display",
    12: "modem",
    13: "soc",
    14: "wifi",
    15: "camera",
    16: "flashlight",
    17: "speaker",
    18: "ambient",
    19: "pogo",
}
# Some vendors number differently and tell the type by the name.
_NAMED_TYPES = {f"TYPE_{name.upper().replace(' ', '_')}": name for name in _TYPES.values()}

# android.os.BatteryManager's BATTERY_STATUS_...
_BATTERY_STATUS = {1: "unknown", 2: "charging", 3: "discharging", 4: "not charging", 5: "full"}

_TEMPERATURE = re.compile(
    r"Temperature\{mValue=([^,}\n]{1,40}), mType=(-?\d{1,3}), mName=([^\n]{0,200}?), mStatus=\d+\}"
)
_MOST_SENSORS = 200
_MOST_CORES = 1024


def parse_condition(said: Mapping[str, str]) -> Condition:
    """Return the condition of a phone, which answered `said` to :data:`SCRIPTS`."""
    governors = set(sysfs.by_core(said["cores"], "scaling_governor").values())
    screen = re.search(r"mWakefulness=(\w{1,40})", said["power"])
    load = re.match(r"\s*(\d{1,6}\.\d{1,6}) ", said["load"])
    return Condition(
        load_average=float(load[1]) if load else None,
        frequency_mhz=_per_core(said["cores"], "scaling_cur_freq"),
        max_frequency_mhz=_per_core(said["cores"], "scaling_max_freq"),
        governor="+".join(sorted(governors))[:300] or None,
        screen=screen[1].lower() if screen else None,
        **parse_thermal(said["thermal"]),
        **parse_battery(said["battery"]),
    )


def parse_thermal(text: str) -> dict[str, Any]:
    """Return `thermal_status...` and `sensors` of ``dumpsys thermalservice`` (Android 10 on).

    A value that no thermometer shows is left out: vendors print -99.9, NaN or exactly 0.0 for a
    sensor that is not there.
    """
    status = re.search(r"^\s*Thermal Status: ([0-6])\s*$", text, re.MULTILINE)
    _, has_current, current = text.partition("Current temperatures from HAL:")
    current = current.partition("Current cooling devices")[0]
    # Without a HAL that answers, the last values that it sent are all there is.
    found = _TEMPERATURE.findall(current) if has_current else []
    found = found or _TEMPERATURE.findall(text)
    sensors = {}
    for value, number, name in found[:_MOST_SENSORS]:
        celsius, type_ = _celsius(value), _NAMED_TYPES.get(name, _TYPES.get(int(number)))
        if celsius is not None and type_ is not None:
            sensors[name] = Sensor(type=type_, celsius=celsius)
    return {
        "thermal_status": int(status[1]) if status else None,
        "thermal_status_overridden": "IsStatusOverride: true" in text,
        "sensors": sensors,
    }


def parse_battery(text: str) -> dict[str, Any]:
    """Return `battery...` and `plugged` of ``dumpsys battery``; of held readings, only that.

    After ``dumpsys battery unplug`` or ``set`` Android prints the values of that moment for ever,
    and a wait for the battery to cool would look at a number that never moves.
    """
    if "UPDATES STOPPED" in text:
        return {"battery_held": True}
    fields = dict(re.findall(r"^\s+([A-Za-z][A-Za-z ]{0,40}): (.{1,100})$", text, re.MULTILINE))
    level, scale = _whole(fields.get("level")), _whole(fields.get("scale"))
    tenths, status = _whole(fields.get("temperature")), _whole(fields.get("status"))
    plugs = {
        word.lower(): fields.get(f"{word} powered") for word in ("AC", "USB", "Wireless", "Dock")
    }
    known = any(each is not None for each in plugs.values())
    celsius = None if tenths is None else _celsius(str(tenths / 10))
    percent = 100 * level / scale if level is not None and scale else None
    return {
        "battery_percent": percent if percent is not None and 0 <= percent <= 100 else None,
        "battery_celsius": celsius,
        "battery_status": None if status is None else _BATTERY_STATUS.get(status),
        "plugged": tuple(w for w, each in plugs.items() if each == "true") if known else None,
    }


def _per_core(text: str, name: str) -> tuple[float | None, ...]:
    found = sysfs.megahertz(sysfs.by_core(text, name))
    last = max((core for core in found if core < _MOST_CORES), default=-1)
    return tuple(found.get(core) for core in range(last + 1))


def _celsius(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return round(value, 2) if -40 < value < 200 and value != 0 else None


def _whole(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"-?[0-9]{1,9}", text.strip()) else None
