"""The cores of a phone by cluster, and the words ``big``, ``mid``, ``little`` for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lightmobile.device_bench.schema import Cluster
from lightmobile.errors import UsageError

__all__ = ["CLASSES", "cores_of", "describe", "find_clusters"]

CLASSES = ("big", "mid", "little", "all")


def find_clusters(names: Mapping[int, str], max_mhz: Mapping[int, float]) -> tuple[Cluster, ...]:
    """Return the clusters of a processor, slowest first.

    Parameters
    ----------
    names
        The name of each core by its number, as far as known.
    max_mhz
        Its highest frequency, as far as readable.
    """
    cores = sorted(names.keys() | max_mhz.keys())
    kinds: dict[tuple[str, float | None], list[int]] = {}
    for core in cores:
        kinds.setdefault((names.get(core, ""), max_mhz.get(core)), []).append(core)
    clusters = [
        Cluster(cores=tuple(members), name=name, max_mhz=mhz)
        for (name, mhz), members in kinds.items()
    ]
    # Equally fast ones, or those that tell no frequency, keep the order of their numbers.
    return tuple(sorted(clusters, key=lambda each: (each.max_mhz or 0, each.cores)))


def cores_of(word: str, clusters: Sequence[Cluster]) -> tuple[int, ...]:
    """Return the numbers of the cores that `word` means: ``big``, ``mid``, ``little`` or ``all``.

    The fastest cluster is big, the slowest little, and what lies between is mid; where all cores
    are alike, each word means all of them.

    Raises
    ------
    UsageError
        There is no such word, or no such core.
    """
    if word not in CLASSES:
        raise UsageError(f"There are no cores {word!r}", fix=f"Use {', '.join(CLASSES)}")
    frequencies = [each.max_mhz for each in clusters]
    if word == "all" or len(clusters) == 1:
        chosen = list(clusters)
    elif None in frequencies:
        raise UsageError(
            f"Which cores are {word} is not known",
            why="The device does not tell their highest frequencies",
            fix="Use all",
        )
    else:
        chosen = [each for each in clusters if _class(each, clusters) == word]
    if not chosen:
        raise UsageError(
            f"The device has no {word} cores",
            why="Its clusters: " + "; ".join(describe(each) for each in clusters),
            fix="Use big, little or all",
        )
    return tuple(sorted(core for each in chosen for core in each.cores))


def describe(cluster: Cluster) -> str:
    """Return e.g. ``3 x Cortex-A510 at 2016 MHz``."""
    at = "" if cluster.max_mhz is None else f" at {cluster.max_mhz:.0f} MHz"
    return f"{len(cluster.cores)} x {cluster.name or 'core'}{at}"


def _class(cluster: Cluster, clusters: Sequence[Cluster]) -> str:
    if cluster.max_mhz == clusters[-1].max_mhz:
        return "big"
    return "little" if cluster.max_mhz == clusters[0].max_mhz else "mid"
