"""What a device is and how it fares, as a store's lines hold it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from lightmobile.device_bench.schema_fields import (
    Bytes,
    Celsius,
    Core,
    Count,
    Megahertz,
    Name,
    Part,
    Positive,
)

__all__ = ["Cluster", "Condition", "ContainerLimits", "Cooling", "DeviceIdentity", "Sensor"]


class ContainerLimits(Part):
    """What a container grants of the machine; None where it does not limit."""

    cpus: float | None = Field(default=None, gt=0, description="processors' worth of time")
    memory_bytes: Bytes | None = None


class Cluster(Part):
    """Cores of one kind and one highest frequency, by their numbers."""

    cores: tuple[Core, ...] = Field(min_length=1)
    name: Name = Field(default="", description="of the core, e.g. Cortex-X3; empty where unknown")
    max_mhz: Megahertz | None = None


class DeviceIdentity(Part):
    """What a device is: the part of a result that no setting changes.

    `name` and `serial` identify its owner, and an anonymous export leaves them out.
    """

    kind: Name = Field(default="host", description="host, android, macos, ssh or a plug-in's")
    name: Name | None = Field(default=None, description="host name")
    serial: Name | None = None
    system: Name = Field(description="Linux, Darwin, Windows, Android")
    release: Name = Field(default="", description="of the kernel")
    machine: Name = Field(description="x86_64, arm64, ...")
    manufacturer: Name | None = None
    model: Name | None = None
    fingerprint: Name | None = Field(default=None, description="of the system's build")
    os_version: Name | None = Field(default=None, description="of Android, e.g. 14")
    sdk: Count | None = Field(default=None, description="Android's API level")
    security_patch: Name | None = None
    abi: Name | None = Field(default=None, description="of native programs, e.g. arm64-v8a")
    debuggable: bool | None = Field(default=None, description="a build for developers")
    emulated: bool = Field(default=False, strict=True, description="never compared")
    processor: Name
    soc: Name | None = Field(default=None, description="system on a chip")
    clusters: tuple[Cluster, ...] = Field(default=(), description="slowest first")
    instruction_sets: tuple[Name, ...] = Field(
        default=(), description="those that kernels choose by"
    )
    physical_cores: Positive | None = None
    logical_cores: Positive | None = None
    governor: Name | None = Field(default=None, description="of the clocks, where readable")
    memory_bytes: Bytes | None = None
    page_bytes: Positive | None = None
    container: ContainerLimits | None = None
    versions: dict[Name, Name] = Field(default={}, description="package -> version")

    @property
    def label(self) -> str:
        """The word that names the device: ``host``, ``android:SERIAL``."""
        which = self.serial or self.name
        return self.kind if self.kind == "host" or not which else f"{self.kind}:{which}"


class Sensor(Part):
    """A temperature, and what it is the temperature of."""

    type: Name = Field(description="cpu, gpu, battery, skin, ...")
    celsius: Celsius


class Condition(Part):
    """What a device is doing; None and empty where it does not tell."""

    load_average: float | None = Field(default=None, ge=0, description="over the last minute")
    frequency_mhz: tuple[Megahertz | None, ...] = Field(default=(), description="of each core")
    max_frequency_mhz: tuple[Megahertz | None, ...] = Field(
        default=(), description="that each core may reach now"
    )
    governor: Name | None = None
    thermal_status: Annotated[int, Field(strict=True, ge=0, le=6)] | None = Field(
        default=None, description="Android's: 0 none, 1 light, ... 6 shutdown"
    )
    thermal_status_overridden: bool = Field(
        default=False, strict=True, description="somebody set the status for a test"
    )
    sensors: dict[Name, Sensor] = Field(default={})
    battery_percent: Annotated[float, Field(ge=0, le=100)] | None = None
    battery_celsius: Celsius | None = None
    battery_status: Name | None = Field(default=None, description="charging, full, ...")
    battery_held: bool = Field(
        default=False, strict=True, description="its readings were frozen, and are left out"
    )
    plugged: tuple[Name, ...] | None = Field(default=None, description="ac, usb, wireless, dock")
    screen: Name | None = Field(default=None, description="awake, asleep, dozing, dreaming")


class Cooling(Part):
    """A wait for a device to cool before it was measured."""

    outcome: Literal["cool", "timed out", "unreadable"] = Field(
        description="unreadable: the device tells no temperature to wait for"
    )
    waited_s: Annotated[float, Field(ge=0)]
    limit_celsius: Celsius
