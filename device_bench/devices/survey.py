"""Every device in sight: what it is, what it can run, and why not."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from lightmobile.device_bench.devices.device import Capability, Device
from lightmobile.errors import LightmobileError

if TYPE_CHECKING:
    from lightmobile.device_bench.devices.android.adb import Adb, Listed
    from lightmobile.device_bench.schema import DeviceIdentity

__all__ = ["Surveyed", "restore_phones", "survey"]


@dataclass(frozen=True)
class Surveyed:
    """A device that was seen.

    Attributes
    ----------
    device
        The word for ``--device``; ``android`` alone where adb itself is what is missing.
    state
        ``ready``, or adb's word for a phone that is not, or ``absent``.
    why_not, fix
        Why it cannot be used, and what to do about it; empty where it can.
    identity
        None where it does not tell.
    """

    device: str
    state: str
    why_not: str = ""
    fix: str = ""
    identity: DeviceIdentity | None = None
    capabilities: tuple[Capability, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return what ``lightmobile devices --json`` prints of it."""
        return {
            "device": self.device,
            "state": self.state,
            "why_not": self.why_not or None,
            "fix": self.fix or None,
            "identity": self.identity and self.identity.model_dump(mode="json"),
            "capabilities": [asdict(each) for each in self.capabilities],
        }


def survey() -> list[Surveyed]:
    """Return the host and every phone that adb sees, usable or not."""
    from lightmobile.device_bench.devices.host import open_host

    return [_ready("host", open_host()), *_phones()]


def restore_phones() -> dict[str, int]:
    """End every run on every usable phone; return how many there were, by the word of the device.

    Raises
    ------
    DeviceError
        There is no adb, or a phone could not be restored.
    """
    from lightmobile.device_bench.devices.android.adb import Adb
    from lightmobile.device_bench.devices.android.choice import why_unusable
    from lightmobile.device_bench.devices.android.run import finish_dead_runs
    from lightmobile.device_bench.devices.android.shell import Shell

    adb = Adb()
    return {
        f"android:{each.serial}": finish_dead_runs(Shell(adb, each.serial), force=True)
        for each in adb.phones()
        if why_unusable(each) is None
    }


def _phones() -> list[Surveyed]:
    from lightmobile.device_bench.devices.android.adb import Adb

    try:
        adb = Adb()
        return [_phone(adb, listed) for listed in adb.phones()]
    except LightmobileError as error:
        return [_broken("android", "absent", error)]


def _phone(adb: Adb, listed: Listed) -> Surveyed:
    from lightmobile.device_bench.devices.android.choice import why_unusable
    from lightmobile.device_bench.devices.android.phone import AndroidPhone
    from lightmobile.device_bench.devices.android.shell import Shell

    device = f"android:{listed.serial}"
    if reason := why_unusable(listed):
        return Surveyed(device, listed.state, *reason)
    try:
        return _ready(device, AndroidPhone(Shell(adb, listed.serial)))
    except LightmobileError as error:
        return _broken(device, listed.state, error)


def _ready(word: str, device: Device) -> Surveyed:
    return Surveyed(word, "ready", identity=device.identity(), capabilities=device.capabilities())


def _broken(device: str, state: str, error: LightmobileError) -> Surveyed:
    why = ": ".join(part for part in (error.what, error.why) if part)
    return Surveyed(device, state, why, error.fix)
