"""What a container grants of the machine, read from Linux's control groups (versions 1 and 2).

See ``Documentation/admin-guide/cgroup-v2.rst`` (``cpu.max``, ``memory.max``) and
``cgroup-v1/{memory,sched-bwc}.rst`` of the kernel. A limit binds all groups below, so the
smallest one on the way up to the root counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lightmobile.device_bench.schema import ContainerLimits

__all__ = ["container_limits"]

# Version 1 writes "no limit" as the largest page-aligned number that fits.
_NO_LIMIT = 1 << 60


def container_limits(
    membership: str, root: Path = Path("/sys/fs/cgroup")
) -> ContainerLimits | None:
    """Return the limits of the groups that `membership` names, or None where nothing limits.

    Parameters
    ----------
    membership
        The text of ``/proc/self/cgroup``.
    root
        Where the control groups are mounted.
    """
    unified = (root / "cgroup.controllers").exists()
    groups = dict(_groups(membership))
    if unified:
        folders = list(_upwards(root, groups.get("", "/")))
        cpus = [_quota(_words(folder / "cpu.max")) for folder in folders]
        memory = [_bytes(_words(folder / "memory.max")) for folder in folders]
    else:
        cpus = [
            _quota(_words(folder / "cpu.cfs_quota_us") + _words(folder / "cpu.cfs_period_us"))
            for folder in _upwards(root / "cpu", groups.get("cpu", "/"))
        ]
        memory = [
            _bytes(_words(folder / "memory.limit_in_bytes"))
            for folder in _upwards(root / "memory", groups.get("memory", "/"))
        ]
    fewest = min((limit for limit in cpus if limit is not None), default=None)
    least = min((limit for limit in memory if limit is not None), default=None)
    if fewest is None and least is None:
        return None
    return ContainerLimits(cpus=fewest, memory_bytes=least)


def _groups(membership: str) -> Iterator[tuple[str, str]]:
    """Yield controller and group: ``cpu``, ``/docker/abc``; in version 2 it has no name."""
    for line in membership.splitlines():
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        for controller in controllers.split(","):
            yield controller, group


def _upwards(mount: Path, group: str) -> Iterator[Path]:
    # Inside a container the group's own folder may be mounted as the root: then only that exists.
    folder = mount / group.lstrip("/")
    yield folder
    if folder != mount:
        yield from (parent for parent in folder.parents if parent.is_relative_to(mount))


def _words(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except (OSError, UnicodeDecodeError):
        return []


def _quota(words: list[str]) -> float | None:
    """Return processors' worth of time from ``quota period`` in microseconds."""
    if len(words) != 2 or not all(word.isdecimal() for word in words):
        return None  # "max", or version 1's -1
    quota, period = map(int, words)
    return quota / period if quota and period else None


def _bytes(words: list[str]) -> int | None:
    if len(words) != 1 or not words[0].isdecimal() or int(words[0]) >= _NO_LIMIT:
        return None
    return int(words[0])
