"""Which phone is meant, and why one that adb sees cannot be used."""

from __future__ import annotations

import os
from collections.abc import Sequence

from lightmobile.device_bench.devices.android.adb import Listed
from lightmobile.errors import DeviceError

__all__ = ["choose", "why_unusable"]

_WHY = {
    "unauthorized": (
        "It has not allowed this computer to debug it",
        "Unlock it and accept the question on its screen; if none comes, revoke the "
        "authorizations in its developer options and reconnect it",
    ),
    "authorizing": (
        "It is being asked whether this computer may debug it",
        "Unlock it and accept the question on its screen",
    ),
    "offline": (
        "It does not answer the adb server",
        "Reconnect the cable, or switch USB debugging off and on in its developer options",
    ),
    "no permissions": (
        "This user may not open it",
        "On Linux, install Android's udev rules (Debian: android-sdk-platform-tools-common), join "
        "the group plugdev, and reconnect it",
    ),
    "recovery": ("It runs its recovery system", "Restart it"),
    "sideload": ("It waits for an update to be sent", "Restart it"),
    "bootloader": ("It runs its boot loader", "Restart it"),
}


def why_unusable(phone: Listed) -> tuple[str, str] | None:
    """Return why `phone` cannot be used and what to do about it; None where it can."""
    if phone.state == "device":
        return None
    for state, why in _WHY.items():
        if phone.state.startswith(state):
            return why
    return f"Its state is {phone.state!r}", "Restart it, and check with `adb devices`"


def choose(phones: Sequence[Listed], serial: str | None) -> Listed:
    """Return the phone `serial`; where None, the one of ``ANDROID_SERIAL``, or the only one.

    Raises
    ------
    DeviceError
        There is no such phone, more than one, or it cannot be used.
    """
    serial = serial or os.environ.get("ANDROID_SERIAL") or None
    found = [each for each in phones if serial is None or each.serial == serial]
    if not found:
        raise DeviceError(
            "There is no phone" if serial is None else f"There is no phone {serial!r}",
            why="adb sees " + (_listed(phones) if phones else "none"),
            fix="Connect it, and switch on USB debugging in its developer options",
        )
    if serial is None and len(found) > 1:
        usable = [each for each in found if each.state == "device"]
        if len(usable) != 1:
            raise DeviceError(
                f"There are {len(found)} phones",
                why="adb sees " + _listed(found),
                fix=f"Name one: --device android:{found[0].serial}",
            )
        found = usable
    if len(found) > 1:
        raise DeviceError(
            f"There are {len(found)} phones with the serial {serial!r}",
            why="adb cannot tell them apart",
            fix="Connect one at a time",
        )
    if reason := why_unusable(found[0]):
        raise DeviceError(f"{found[0].serial} cannot be used", why=reason[0], fix=reason[1])
    return found[0]


def _listed(phones: Sequence[Listed]) -> str:
    return ", ".join(f"{each.serial} ({each.state})" for each in phones)
