"""What ``dumpsys`` prints, as AOSP's services of each version of Android write it.

Battery: BatteryService.dumpInternal. Thermal: ThermalManagerService.dumpInternal, with the HAL's
own line from its wrappers for 1.1, 2.0 and AIDL. Power: the lines of PowerManagerService.dump that
others look for. Written after the sources and after dumps that owners of phones published.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isnan
from typing import Any

__all__ = ["battery", "power", "thermal", "window"]

_HALS = {
    "1.1": "ThermalHAL 1.1 connected: yes",
    "2.0": "ThermalHAL 2.0 connected: yes",
    "aidl": "ThermalHAL AIDL 1  connected: yes",
}


def battery(sdk: int, state: Mapping[str, Any], extra: Iterable[str], *, held: bool) -> str:
    """Return the dump of the service ``battery``.

    Parameters
    ----------
    state
        Of the battery: what the lines below show.
    extra
        Lines that the phone's maker adds.
    held
        Whether ``dumpsys battery set`` or ``unplug`` stopped the updates.
    """
    lines = ["Current Battery Service state:"]
    if held:
        lines.append("  (UPDATES STOPPED -- use 'reset' to restart)")
    plugs = ["ac", "usb", "wireless", *(["dock"] if sdk >= 33 else [])]
    names = {"ac": "AC", "usb": "USB", "wireless": "Wireless", "dock": "Dock"}
    lines += [f"  {names[each]} powered: {_boolean(state['plugged'] == each)}" for each in plugs]
    lines += [
        f"  Max charging current: {state['max_charging_current_ua']}",
        f"  Max charging voltage: {state['max_charging_voltage_uv']}",
        f"  Charge counter: {state['charge_counter_uah']}",
        f"  status: {state['status']}",
        f"  health: {state['health']}",
        "  present: true",
        f"  level: {state['level']}",
        "  scale: 100",
        f"  voltage: {state['voltage_mv']}",
        f"  temperature: {state['temperature_tenths']}",
        "  technology: Li-ion",
    ]
    if sdk >= 34:
        lines += ["  Charging state: 0", "  Charging policy: 0"]
    if sdk >= 35:
        lines.append("  Capacity level: -1")
    return _text([*lines, *extra])


def thermal(sdk: int, state: Mapping[str, Any], status: int, *, overridden: bool) -> str:
    """Return the dump of the service ``thermalservice``, which Android has from 10 on.

    Parameters
    ----------
    state
        ``hal`` (``1.1``, ``2.0``, ``aidl`` or empty for none that answers), ``sensors`` with
        `name`, `type`, `celsius` and `status`, and of those `cached`, those that an event told.
    """
    listeners = ["\tcallbacks: {}", "\tkilled: false", "\tbroadcasts count: -1"]
    lines = [f"IsStatusOverride: {_boolean(overridden)}"]
    for count, name in ((1, "ThermalEventListeners:"), (3, "ThermalStatusListeners:")):
        lines += [name, *(each.format(count) for each in listeners)]
    lines += [f"Thermal Status: {status}", "Cached temperatures:"]
    lines += [_temperature(each) for each in state["cached"]]
    lines.append(f"HAL Ready: {_boolean(bool(state['hal']))}")
    if state["hal"]:
        lines += ["HAL connection:", "\t" + _HALS[state["hal"]], "Current temperatures from HAL:"]
        lines += [_temperature(each) for each in state["sensors"]]
        lines.append("Current cooling devices from HAL:")
        lines += [
            f"\tCoolingDevice{{mValue=0, mType=2, mName={name}}}" for name in state["cooling"]
        ]
        if sdk >= 30:
            lines.append("Temperature static thresholds from HAL:")
            lines += [_threshold(each) for each in state["sensors"] if "hot" in each]
    if sdk >= 35:
        lines += ["Temperature headroom thresholds:", "[NaN, NaN, NaN, 1.0, NaN, NaN, NaN]"]
    return _text(lines)


def power(state: Mapping[str, Any]) -> str:
    """Return the part of the dump of the service ``power`` that tells of the screen."""
    awake = state["wakefulness"] == "Awake"
    return _text(
        [
            "POWER MANAGER (dumpsys power)",
            "",
            "Power Manager State:",
            "  mDirty=0x0",
            f"  mWakefulness={state['wakefulness']}",
            "  mWakefulnessChanging=false",
            f"  mIsPowered={_boolean(bool(state['plugged']))}",
            f"  mBatteryLevel={state['level']}",
            f"  mStayOn={_boolean(state['stays_on'])}",
            "  mLightDeviceIdleMode=false",
            f"  mDeviceIdleMode={_boolean(state['idle'])}",
            "",
            f"Display Power: state={'ON' if awake else 'OFF'}",
        ]
    )


def window(state: Mapping[str, Any]) -> str:
    """Return the part of the dump of the service ``window`` that tells of the keyguard."""
    return _text(
        [
            "WINDOW MANAGER POLICY STATE (dumpsys window policy)",
            f"    screenState=SCREEN_STATE_{'ON' if state['wakefulness'] == 'Awake' else 'OFF'}",
            "    showing=false",
            "  mDreamingLockscreen=false",
        ]
    )


def _temperature(sensor: Mapping[str, Any]) -> str:
    return (
        f"\tTemperature{{mValue={sensor['celsius']}, mType={sensor['type']}, "
        f"mName={sensor['name']}, mStatus={sensor['status']}}}"
    )


def _threshold(sensor: Mapping[str, Any]) -> str:
    hot = ", ".join(["NaN", *("NaN" if isnan(each) else str(each) for each in sensor["hot"])])
    cold = ", ".join(["NaN"] * (1 + len(sensor["hot"])))
    return (
        f"\tTemperatureThreshold{{mType={sensor['type']}, mName={sensor['name']}, "
        f"mHotThrottlingThresholds=[{hot}], mColdThrottlingThresholds=[{cold}]}}"
    )


def _boolean(value: bool) -> str:
    return "true" if value else "false"


def _text(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
