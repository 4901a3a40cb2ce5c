"""The thermal gate: a hot phone is waited for, and a result tells where it stayed hot."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

from lightmobile.device_bench.schema import Condition, Cooling
from lightmobile.errors import DeviceError

__all__ = ["LIMIT_CELSIUS", "POLL_S", "TIMEOUT_S", "wait_until_cool"]

_Outcome = Literal["cool", "timed out", "unreadable"]

# Benchmarks of others wait for 35 to 37 degrees at the skin; above, phones slow down for comfort.
LIMIT_CELSIUS = 37.0
TIMEOUT_S = 600.0
POLL_S = 15.0


def wait_until_cool(
    read: Callable[[], Condition],
    progress: Callable[[str, str], None],
    *,
    limit_celsius: float = LIMIT_CELSIUS,
    timeout_s: float = TIMEOUT_S,
    poll_s: float = POLL_S,
) -> Cooling:
    """Wait until a phone neither throttles nor has a skin or battery above `limit_celsius`.

    Parameters
    ----------
    read
        Returns the condition now.
    progress
        Called with ``cooling`` and what is waited for.
    timeout_s
        After which it is given up, and said so.

    Raises
    ------
    DeviceError
        Somebody froze the readings that would have to be waited for.
    """
    start = time.monotonic()
    while True:
        condition = read()
        warmest = _warmest(condition)
        waited_s = time.monotonic() - start
        if warmest is None and condition.thermal_status is None:
            if condition.battery_held:
                raise DeviceError(
                    "The phone's battery readings are frozen, and it tells no other temperature",
                    why="`dumpsys battery unplug` or `set` holds them",
                    fix="Run `adb shell dumpsys battery reset`",
                )
            return _cooling("unreadable", waited_s, limit_celsius)
        if (warmest is None or warmest <= limit_celsius) and not condition.thermal_status:
            return _cooling("cool", waited_s, limit_celsius)
        if waited_s >= timeout_s:
            return _cooling("timed out", waited_s, limit_celsius)
        progress("cooling", _describe(condition, warmest))
        time.sleep(min(poll_s, max(0.0, timeout_s - waited_s)))


def _warmest(condition: Condition) -> float | None:
    felt = [each.celsius for each in condition.sensors.values() if each.type in {"skin", "battery"}]
    if condition.battery_celsius is not None:
        felt.append(condition.battery_celsius)
    return max(felt, default=None)


def _describe(condition: Condition, warmest: float | None) -> str:
    at = "" if warmest is None else f"{warmest:.1f} °C"
    status = f"thermal status {condition.thermal_status}" if condition.thermal_status else ""
    return ", ".join(part for part in (at, status) if part)


def _cooling(outcome: _Outcome, waited_s: float, limit_celsius: float) -> Cooling:
    return Cooling(outcome=outcome, waited_s=round(waited_s, 1), limit_celsius=limit_celsius)
