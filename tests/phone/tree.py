"""The files of a test phone that are its own: of its processor, memory, heat, and its folders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.phone.fixture import Cluster, Fixture

__all__ = ["make_tree"]

_FOLDERS = ("data", "dev/socket", "dev/emulator/root/etc", "kernel", "proc", "storage/emulated")
# The machine's name in an ELF header, and by whom a program of it is run.
_RUNS = {"arm64-v8a": ("64-183", "/system/bin/qemu-aarch64"), "x86_64": ("64-62", "native")}
_MACHINES = {"arm64-v8a": "aarch64", "armeabi-v7a": "armv8l", "x86_64": "x86_64"}


def make_tree(folder: Path, fixture: Fixture) -> None:
    """Write the files of a phone below `folder`, and make the folders that others mount on."""
    for name in _FOLDERS:
        (folder / name).mkdir(parents=True)
    (folder / "etc").symlink_to("/system/etc")
    (folder / "bin").symlink_to("/system/bin")
    (folder / "sdcard").symlink_to("/storage/emulated/0")
    (folder / "kernel" / "cpuinfo").write_text(_cpuinfo(fixture))
    (folder / "kernel" / "meminfo").write_text(_meminfo(fixture))
    _write_emulator(folder / "dev" / "emulator", fixture)
    for path, value in (*_cpu_files(fixture), *_thermal_files(fixture)):
        file = folder / "sys" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{value}\n")


def _write_emulator(folder: Path, fixture: Fixture) -> None:
    for abi in fixture.abis:
        if abi in _RUNS:
            name, program = _RUNS[abi]
            (folder / name).symlink_to(program)
    (folder / "machine").symlink_to(_MACHINES[fixture.abis[0]])
    (folder / "release").symlink_to(fixture.kernel)
    # Programs of the phone's own processor find this one, and are preloaded nothing.
    (folder / "root" / "etc" / "ld.so.preload").touch()


def _cpuinfo(fixture: Fixture) -> str:
    if not fixture.cpu_features:
        # Of this machine's processor, as often as the emulator has cores.
        first, _, _ = Path("/proc/cpuinfo").read_text(encoding="utf-8").partition("\n\n")
        _, _, rest = first.partition("\n")
        return "".join(
            f"processor\t: {core}\n{rest}\n\n" for core in range(len(fixture.cluster_of_cores()))
        )
    blocks = [
        f"processor\t: {core}\n"
        "BogoMIPS\t: 49.15\n"
        f"Features\t: {fixture.cpu_features}\n"
        f"CPU implementer\t: {each.implementer:#04x}\n"
        "CPU architecture: 8\n"
        f"CPU variant\t: {each.variant:#x}\n"
        f"CPU part\t: {each.part:#05x}\n"
        f"CPU revision\t: {each.revision}\n"
        for core, each in enumerate(fixture.cluster_of_cores())
    ]
    if fixture.cpu_hardware:
        blocks.append(f"Hardware\t: {fixture.cpu_hardware}\n")
    return "\n".join(blocks)


def _meminfo(fixture: Fixture) -> str:
    rows = {
        "MemTotal": fixture.memory_kb,
        "MemFree": fixture.memory_kb // 20,
        "MemAvailable": fixture.memory_kb // 2,
        "Buffers": 4096,
        "Cached": fixture.memory_kb // 3,
        "SwapTotal": fixture.memory_kb // 2,
        "SwapFree": fixture.memory_kb // 3,
    }
    return "".join(f"{name + ':':<16}{value:>8} kB\n" for name, value in rows.items())


def _cpu_files(fixture: Fixture) -> Iterator[tuple[str, Any]]:
    base = "devices/system/cpu"
    cores = fixture.cluster_of_cores()
    for name in ("possible", "present", "online"):
        yield f"{base}/{name}", _range(0, len(cores))
    yield f"{base}/offline", ""
    yield f"{base}/kernel_max", 31
    first = 0
    for cluster in fixture.clusters:
        siblings = range(first, first + cluster.cores)
        for core in siblings:
            for path, value in _core_files(cluster, core, siblings, len(cores)):
                yield f"{base}/cpu{core}/{path}", value
        first += cluster.cores


def _core_files(
    cluster: Cluster, core: int, siblings: range, count: int
) -> Iterator[tuple[str, Any]]:
    if cluster.max_khz:
        for limits in ("cpuinfo", "scaling"):
            yield f"cpufreq/{limits}_min_freq", cluster.min_khz
            yield f"cpufreq/{limits}_max_freq", cluster.max_khz
        yield "cpufreq/scaling_cur_freq", cluster.min_khz
        yield "cpufreq/scaling_governor", cluster.governor
        yield "cpufreq/scaling_available_governors", f"{cluster.governor} performance powersave"
        yield "cpufreq/related_cpus", " ".join(map(str, siblings))
    yield "online", 1
    yield "topology/physical_package_id", 0
    yield "topology/core_id", core
    yield "topology/thread_siblings_list", core
    yield "topology/cluster_cpus_list", _range(siblings.start, siblings.stop)
    yield "topology/core_siblings_list", _range(0, count)
    yield "topology/package_cpus_list", _range(0, count)
    if cluster.implementer:
        midr = cluster.implementer << 24 | cluster.variant << 20 | 0xF << 16 | cluster.part << 4
        yield "regs/identification/midr_el1", f"{midr | cluster.revision:#018x}"


def _thermal_files(fixture: Fixture) -> Iterator[tuple[str, Any]]:
    for number, sensor in enumerate(fixture.sensors):
        zone = f"class/thermal/thermal_zone{number}"
        yield f"{zone}/type", sensor["name"]
        yield f"{zone}/temp", round(1000 * sensor["celsius"])


def _range(start: int, stop: int) -> str:
    return str(start) if stop - start == 1 else f"{start}-{stop - 1}"
