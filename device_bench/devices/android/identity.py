"""Who a phone is: one round trip of its own words, and how they are read."""

from __future__ import annotations

import re
from collections.abc import Mapping

from lightmobile.device_bench.devices.android import sysfs
from lightmobile.device_bench.devices.android.clusters import find_clusters
from lightmobile.device_bench.processor import parse_core_names, parse_cpuinfo
from lightmobile.device_bench.schema import DeviceIdentity
from lightmobile.errors import DeviceError

__all__ = ["ABI", "LEAST_SDK", "SCRIPTS", "check_usable", "parse_identity", "parse_properties"]

#: What the runners are built for.
ABI = "arm64-v8a"
#: Android 8.0. Its kernels are 3.18 or later, and the runners' libraries need 3.7; its shell has
#: all the programs that are used here (toybox's sha256sum, stat -f).
LEAST_SDK = 26

#: What is asked, by the section that :func:`parse_identity` finds the answer in.
SCRIPTS = {
    "properties": "getprop",
    "cpuinfo": "cat /proc/cpuinfo",
    "memory": "grep -m1 MemTotal /proc/meminfo",
    "kernel": "uname -r",
    "page": "getconf PAGESIZE || grep -m1 KernelPageSize /proc/self/smaps",
    "cores": sysfs.grep("cpuinfo_max_freq", "scaling_governor"),
}

_LONGEST = 300  # of a name in the store
_PROPERTY = re.compile(r"^\[([^\]\n]{1,200})\]: \[(.{0,2000})\]$", re.MULTILINE)


def parse_properties(text: str) -> dict[str, str]:
    """Return the properties that ``getprop`` printed as ``[key]: [value]``."""
    return dict(_PROPERTY.findall(text))


def parse_identity(serial: str, said: Mapping[str, str]) -> DeviceIdentity:
    """Return the identity of the phone `serial`, which answered `said` to :data:`SCRIPTS`.

    What it does not tell is None or left out; what it tells at too great length is cut.
    """
    properties = {
        key: value[:_LONGEST] for key, value in parse_properties(said["properties"]).items()
    }

    def first(*keys: str) -> str | None:
        return next((found for key in keys if (found := properties.get(key, "").strip())), None)

    processor = parse_cpuinfo(said["cpuinfo"])
    names = parse_core_names(said["cpuinfo"])
    max_mhz = sysfs.megahertz(sysfs.by_core(said["cores"], "cpuinfo_max_freq"))
    clusters = find_clusters(names, max_mhz)
    governors = set(sysfs.by_core(said["cores"], "scaling_governor").values())
    soc = " ".join(part for key in ("ro.soc.manufacturer", "ro.soc.model") if (part := first(key)))
    return DeviceIdentity(
        kind="android",
        serial=serial[:_LONGEST],
        system="Android",
        release=said["kernel"].strip()[:_LONGEST],
        os_version=first("ro.build.version.release"),
        sdk=_number(first("ro.build.version.sdk")),
        security_patch=first("ro.build.version.security_patch"),
        manufacturer=first("ro.product.manufacturer", "ro.product.vendor.manufacturer"),
        model=first("ro.product.model", "ro.product.vendor.model"),
        fingerprint=first("ro.build.fingerprint", "ro.vendor.build.fingerprint"),
        abi=first("ro.product.cpu.abi"),
        debuggable=None if (debuggable := first("ro.debuggable")) is None else debuggable == "1",
        emulated=is_emulated(properties),
        machine="arm64"
        if first("ro.product.cpu.abi") == ABI
        else first("ro.product.cpu.abi") or "",
        # Before Android 12 phones name their board at most, e.g. "sdm845".
        soc=(soc or first("ro.board.platform", "ro.hardware")),
        processor=processor.name[:_LONGEST],
        instruction_sets=processor.instruction_sets,
        clusters=clusters,
        physical_cores=sum(len(each.cores) for each in clusters) or None,
        logical_cores=sum(len(each.cores) for each in clusters) or None,
        governor="+".join(sorted(governors))[:_LONGEST] or None,
        memory_bytes=_kilobytes(said["memory"]),
        page_bytes=_page_bytes(said["page"]),
    )


def is_emulated(properties: Mapping[str, str]) -> bool:
    """Return whether a phone's properties say that it is none: an emulator, or a test's device."""
    flags = ("ro.kernel.qemu", "ro.boot.qemu", "ro.lightmobile.emulated")
    boards = (properties.get("ro.hardware"), properties.get("ro.boot.hardware"))
    return any(properties.get(flag) == "1" for flag in flags) or any(
        board in {"ranchu", "goldfish", "cutf_cvm"} for board in boards
    )


def check_usable(identity: DeviceIdentity) -> None:
    """Check that runners can run on a phone.

    Raises
    ------
    DeviceError
        They cannot, for its processor or its system.
    """
    if identity.abi != ABI:
        raise DeviceError(
            f"{identity.serial} cannot run the runners",
            why=f"They are built for {ABI}, and its programs are {identity.abi or 'unknown'}",
            fix="Use a phone with a 64-bit Arm processor and system",
        )
    if identity.sdk is None or identity.sdk < LEAST_SDK:
        raise DeviceError(
            f"{identity.serial} has a system that is too old",
            why=f"Android {identity.os_version or '?'} (API {identity.sdk or '?'}): its shell "
            "lacks the programs that check what is pushed",
            fix=f"Use a phone with Android 8.0 (API {LEAST_SDK}) or later",
        )


def _number(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"[0-9]{1,6}", text) else None


def _kilobytes(text: str) -> int | None:
    found = re.search(r":\s*([0-9]{1,12}) kB", text)
    return int(found[1]) * 1024 if found else None


def _page_bytes(text: str) -> int | None:
    found = re.search(r"([1-9][0-9]{0,7})( kB)?", text)
    return int(found[1]) * (1024 if found[2] else 1) if found else None
