"""Devices that can run artifacts, by the words of ``--device``: ``NAME`` or ``NAME:WHICH``.

Another installed package adds one through the entry points ``lightmobile.devices``: a callable
that takes what follows the colon (or None) and returns a :class:`Device`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from lightmobile import plugins
from lightmobile.device_bench.devices.device import Capability, Device
from lightmobile.errors import UsageError

__all__ = ["Capability", "Device", "list_devices", "open_device"]

_BUILT_IN = {
    "android": "lightmobile.device_bench.devices.android.phone:open_phone",
    "host": "lightmobile.device_bench.devices.host:open_host",
}


def list_devices() -> list[str]:
    """Return the names of the kinds of devices, built in or from installed packages."""
    return sorted({*_BUILT_IN, *plugins.load("lightmobile.devices")})


def open_device(word: str) -> Device:
    """Return the device that `word` names.

    Raises
    ------
    UsageError
        There is no such kind of device.
    DeviceError
        There is no such device now.
    """
    name, _, which = word.partition(":")
    return _opener(name)(which or None)


def _opener(name: str) -> Callable[[str | None], Device]:
    openers: dict[str, Any] = plugins.load("lightmobile.devices")
    if place := _BUILT_IN.get(name):
        module, _, attribute = place.partition(":")
        openers[name] = getattr(importlib.import_module(module), attribute)
    try:
        opener: Callable[[str | None], Device] = openers[name]
    except KeyError:
        known = plugins.suggest(name, {*_BUILT_IN, *openers})
        raise UsageError(f"There is no device {name!r}", fix=f"Use {known}") from None
    return opener
