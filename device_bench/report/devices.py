"""The devices of a report: told apart, named and described."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from lightmobile.device_bench.report.report import DeviceCard
from lightmobile.device_bench.results import Result
from lightmobile.device_bench.schema import Condition, DeviceIdentity, Session
from lightmobile.text import figure

__all__ = ["cards", "device_key"]


def device_key(device: DeviceIdentity) -> tuple[Any, ...]:
    """Return what makes two sessions' devices one: not its label alone, every host is `host`."""
    which = (device.kind, device.name, device.serial, device.model)
    return (*which, device.machine, device.processor, device.soc, device.emulated)


def cards(results: Sequence[Result]) -> dict[tuple[Any, ...], DeviceCard]:
    """Return a card for each device of `results`, those with the most results first."""
    groups: defaultdict[tuple[Any, ...], list[Result]] = defaultdict(list)
    for result in results:
        groups[device_key(result.session.device)].append(result)
    labels = Counter[str]()
    found: dict[tuple[Any, ...], DeviceCard] = {}
    for key in sorted(groups, key=lambda key: -len(groups[key])):
        label = groups[key][0].session.device.label
        labels[label] += 1
        name = label if labels[label] == 1 else f"{label} ({labels[label]})"
        found[key] = _card(name, groups[key])
    return found


def _card(name: str, results: Sequence[Result]) -> DeviceCard:
    sessions = {result.session.id: result.session for result in results}
    ordered = sorted(sessions.values(), key=lambda session: session.started)
    device = ordered[-1].device
    model = " ".join(part for part in (device.manufacturer, device.model) if part)
    return DeviceCard(
        name=name,
        title=model or device.soc or device.processor,
        facts=tuple((title, words) for title, words in _facts(device, ordered, results) if words),
        sessions=tuple(ordered),
        emulated=device.emulated or all(result.configuration.emulated for result in results),
        hot=tuple(sorted({result.session.id for result in results if result.is_hot})),
    )


def _facts(
    device: DeviceIdentity, sessions: Sequence[Session], results: Sequence[Result]
) -> Iterable[tuple[str, str]]:
    yield "Processor", device.processor
    yield "System on a chip", device.soc or ""
    yield "Cores", _cores(device)
    yield "Instruction sets", ", ".join(device.instruction_sets)
    yield "Memory", _gigabytes(device.memory_bytes)
    yield "Container", _container(device)
    yield "System", " ".join(part for part in (device.system, _version(device)) if part)
    yield "Build", device.fingerprint or ""
    yield "Architecture", " ".join(part for part in (device.machine, device.abi) if part)
    yield "Clock governor", device.governor or ""
    yield "Runtimes", ", ".join(sorted(_runtimes(device, results)))
    yield "Timed", "; ".join(sorted(_timed(results)))
    yield "Condition", _conditions([session.condition for session in sessions])


def _cores(device: DeviceIdentity) -> str:
    if device.clusters:
        return ", ".join(
            " ".join(
                part
                for part in (
                    f"{len(cluster.cores)} ×",
                    cluster.name or "core",
                    f"at {figure(cluster.max_mhz, 4)} MHz" if cluster.max_mhz else "",
                )
                if part
            )
            for cluster in device.clusters
        )
    parts = [
        f"{device.physical_cores} physical" if device.physical_cores else "",
        f"{device.logical_cores} logical" if device.logical_cores else "",
    ]
    return ", ".join(part for part in parts if part)


def _gigabytes(count: int | None) -> str:
    return "" if count is None else f"{count / 1e9:.1f} GB"


def _container(device: DeviceIdentity) -> str:
    if device.container is None:
        return ""
    cpus, memory = device.container.cpus, device.container.memory_bytes
    parts = [f"{cpus:g} processors' time" if cpus else "", _gigabytes(memory)]
    return ", ".join(part for part in parts if part)


def _version(device: DeviceIdentity) -> str:
    if not device.os_version:
        return device.release
    patch = f", patch {device.security_patch}" if device.security_patch else ""
    return f"{device.os_version}{patch}"


def _runtimes(device: DeviceIdentity, results: Sequence[Result]) -> set[str]:
    told = {
        f"{name} {version}"
        for result in results
        for process in result.processes
        for name, version in process.versions.items()
    }
    return told or {f"{name} {version}" for name, version in device.versions.items()}


def _timed(results: Sequence[Result]) -> set[str]:
    return {process.timed for result in results for process in result.processes if process.timed}


def _conditions(conditions: Sequence[Condition]) -> str:
    parts = [
        _range("load", [each.load_average for each in conditions]),
        _range("battery", [each.battery_celsius for each in conditions], " °C"),
        _range("thermal status", [each.thermal_status for each in conditions]),
    ]
    return ", ".join(part for part in parts if part)


def _range(title: str, values: Sequence[float | None], unit: str = "") -> str:
    told = [value for value in values if value is not None]
    if not told:
        return ""
    low, high = figure(min(told)), figure(max(told))
    return f"{title} {low}{unit}" if low == high else f"{title} {low} to {high}{unit}"
