"""Who this host is, and what it is doing: what a result must carry to be understood elsewhere.

The same artifact can be 0.9 or 1.1 of another one's time depending on nothing but the processor's
instruction sets, so the identity names those that the runtimes' kernels choose by.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from lightmobile.device_bench.cgroup import container_limits
from lightmobile.device_bench.processor import (
    Processor,
    instruction_sets_of_windows,
    parse_cpuinfo,
    parse_sysctl,
)
from lightmobile.device_bench.schema import Condition, ContainerLimits, DeviceIdentity

__all__ = ["host_condition", "host_identity", "installed_versions"]

_PACKAGES = (
    "lightmobile",
    "torch",
    "executorch",
    "coremltools",
    "litert-torch",
    "ai-edge-litert",
    "tflite-runtime",
    "numpy",
)
_CORES = Path("/sys/devices/system/cpu")


def host_identity() -> DeviceIdentity:
    """Return the identity of this host; what its system does not tell is None or left out."""
    processor = _processor()
    return DeviceIdentity(
        name=platform.node() or None,
        system=platform.system(),
        release=platform.release(),
        machine=platform.machine(),
        processor=processor.name,
        instruction_sets=processor.instruction_sets,
        physical_cores=psutil.cpu_count(logical=False),
        logical_cores=psutil.cpu_count(),
        governor=read_governor(),
        memory_bytes=psutil.virtual_memory().total,
        container=_container(),
        versions={"python": platform.python_version(), **installed_versions(_PACKAGES)},
    )


def host_condition() -> Condition:
    """Return what this host is doing now."""
    return Condition(load_average=_load_average(), frequency_mhz=_frequencies())


def installed_versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of those `packages` that are installed, without importing them."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def read_governor(cores: Path = _CORES) -> str | None:
    """Return what governs the cores' clocks, e.g. ``performance`` or ``powersave+schedutil``."""
    found = set()
    for file in cores.glob("cpu[0-9]*/cpufreq/scaling_governor"):
        try:
            found.add(file.read_text().strip())
        except OSError:
            continue
    return "+".join(sorted(found)) or None


if sys.platform == "win32":

    def _processor() -> Processor:
        import ctypes
        import winreg

        key = r"HARDWARE\DESCRIPTION\System\CentralProcessor\0"
        try:
            with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, key) as opened:
                name = str(winreg.QueryValueEx(opened, "ProcessorNameString")[0]).strip()
        except OSError:
            name = platform.processor()
        present = ctypes.windll.kernel32.IsProcessorFeaturePresent
        return Processor(name or "unknown", instruction_sets_of_windows(present))

    def _container() -> ContainerLimits | None:
        return None

    def _load_average() -> float | None:
        return None  # psutil imitates one that starts at zero, which would be a lie

elif sys.platform == "darwin":

    def _processor() -> Processor:
        asked = ["/usr/sbin/sysctl", "hw", "machdep.cpu"]
        try:
            text = subprocess.run(
                asked, capture_output=True, text=True, timeout=10, check=False
            ).stdout
        except (OSError, subprocess.TimeoutExpired):
            text = ""
        return parse_sysctl(text)

    def _container() -> ContainerLimits | None:
        return None

else:

    def _processor() -> Processor:
        return parse_cpuinfo(_text("/proc/cpuinfo"))

    def _container() -> ContainerLimits | None:
        """Return the limits of control groups and of the set of cores given to this process."""
        limits = container_limits(_text("/proc/self/cgroup")) or ContainerLimits()
        granted = len(os.sched_getaffinity(0))
        if granted < (psutil.cpu_count() or granted):
            fewest = min(granted, limits.cpus or granted)
            limits = limits.model_copy(update={"cpus": float(fewest)})
        return limits if limits != ContainerLimits() else None

    def _text(path: str) -> str:
        try:
            return Path(path).read_text(errors="replace")
        except OSError:
            return ""


if sys.platform != "win32":

    def _load_average() -> float | None:
        return os.getloadavg()[0]


def _frequencies() -> tuple[float, ...]:
    try:
        cores = psutil.cpu_freq(percpu=True)
    except (AttributeError, OSError, NotImplementedError, RuntimeError):
        return ()  # absent on some virtual machines and Apple processors
    return tuple(round(core.current, 1) for core in cores or ())
