"""What a phone is: the files in ``fixtures``, one phone each."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Cluster", "Fixture", "list_fixtures", "load_fixture"]

_FOLDER = Path(__file__).parent / "fixtures"


@dataclass(frozen=True)
class Cluster:
    """Cores of one kind.

    Attributes
    ----------
    cores
        How many.
    implementer, part
        As the processor's MIDR register and ``/proc/cpuinfo`` number them, e.g. 0x41 and 0xd46;
        0 for a processor that is not Arm's.
    max_khz
        Their highest clock; 0 where ``/sys`` tells of none.
    fixed_khz
        Their highest clock in the fixed-performance mode; by default no other.
    """

    cores: int
    implementer: int
    part: int
    min_khz: int
    max_khz: int
    fixed_khz: int = 0
    variant: int = 0
    revision: int = 0
    governor: str = "schedutil"

    def __post_init__(self) -> None:
        if not self.fixed_khz:
            object.__setattr__(self, "fixed_khz", self.max_khz)


@dataclass(frozen=True)
class Fixture:
    """A phone, as its file in ``fixtures`` tells it.

    Attributes
    ----------
    properties
        What ``getprop`` prints.
    clusters
        Of its processor, in the order of the cores' numbers.
    cpu_features
        The line ``Features`` of ``/proc/cpuinfo``; empty for a processor that is not Arm's.
    cpu_hardware
        Its line ``Hardware``, which kernels after 2020 or so do not print.
    kernel
        What ``uname -r`` prints.
    storage_mb
        The size of ``/data``, a file system of its own.
    missing
        Programs that this version or build of Android lacks.
    adb_features
        What its adbd announces.
    settings_writable
        Whether the shell may write settings; some makers have a switch for it.
    fixed_performance
        What ``cmd power set-fixed-performance-mode-enabled`` does: ``fixes``, ``ignores`` (takes
        it, and changes nothing) or ``refuses``.
    thermal_hal
        ``1.1``, ``2.0``, ``aidl``, or empty for none that answers.
    thermal_cached
        Whether events told temperatures, so that the dump has cached ones.
    battery_held
        Whether somebody has stopped the updates of the battery's readings.
    battery_extra
        Lines that the maker adds to ``dumpsys battery``.
    """

    name: str
    properties: dict[str, str]
    clusters: tuple[Cluster, ...]
    kernel: str
    memory_kb: int
    cpu_features: str = ""
    cpu_hardware: str = ""
    storage_mb: int = 2048
    missing: tuple[str, ...] = ()
    adb_features: tuple[str, ...] = ("shell_v2", "cmd", "stat_v2", "ls_v2", "fixed_push_mkdir")
    settings: dict[str, dict[str, str]] = field(default_factory=dict)
    settings_writable: bool = True
    fixed_performance: str = "ignores"
    awake: bool = True
    battery: dict[str, Any] = field(default_factory=dict)
    battery_held: bool = False
    battery_extra: tuple[str, ...] = ()
    thermal_hal: str = "2.0"
    thermal_cached: bool = True
    sensors: tuple[dict[str, Any], ...] = ()
    cooling: tuple[str, ...] = ()

    @property
    def sdk(self) -> int:
        """Android's API level."""
        return int(self.properties["ro.build.version.sdk"])

    @property
    def abis(self) -> tuple[str, ...]:
        """What programs the phone runs, best first."""
        return tuple(self.properties["ro.product.cpu.abilist"].split(","))

    def cluster_of_cores(self) -> list[Cluster]:
        """Return the cluster of each core, in the order of their numbers."""
        return [each for each in self.clusters for _ in range(each.cores)]


def list_fixtures() -> list[str]:
    """Return the names that :func:`load_fixture` takes."""
    return sorted(each.stem for each in _FOLDER.glob("*.toml"))


def load_fixture(name: str, **changes: Any) -> Fixture:
    """Return the phone of a name, with some of its attributes changed.

    Dictionaries are merged, e.g. ``properties={"ro.debuggable": "1"}``. Every phone says of itself
    that it is none, so that no result of it counts as a speed.
    """
    values = tomllib.loads((_FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
    values["properties"]["ro.lightmobile.emulated"] = "1"
    return fixture_of({"name": name, **merge(values, changes)})


def fixture_of(values: dict[str, Any]) -> Fixture:
    """Return the phone that plain values, e.g. of JSON, tell."""
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    values["clusters"] = tuple(Cluster(**each) for each in values["clusters"])
    values["settings"] = {"global": {}, "system": {}, "secure": {}, **values.get("settings", {})}
    return Fixture(**values)


def merge(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return `values` with `changes`, dictionaries within them key by key."""
    merged = dict(values)
    for key, value in changes.items():
        old = merged.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            value = merge(old, value)
        merged[key] = value
    return merged
