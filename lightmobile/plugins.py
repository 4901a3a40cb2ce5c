"""Models, targets and devices that other installed packages bring, by entry point."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from importlib.metadata import entry_points
from typing import Any, Literal

from lightmobile.errors import UsageError

__all__ = ["load", "suggest"]

Group = Literal["lightmobile.models", "lightmobile.targets", "lightmobile.devices"]


def load(group: Group) -> dict[str, Any]:
    """Return the objects that installed packages declare in `group`, by their names.

    Raises
    ------
    UsageError
        One of them cannot be imported; the message names the package.
    """
    found: dict[str, Any] = {}
    for point in entry_points(group=group):
        try:
            found[point.name] = point.load()
        except Exception as error:
            package = point.dist.name if point.dist else point.value
            raise UsageError(
                f"The plug-in {point.name!r} of {package} cannot be loaded",
                why=f"{type(error).__name__}: {error}",
                fix=f"Mend or uninstall {package}",
            ) from error
    return found


def suggest(word: str, known: Iterable[str]) -> str:
    """Return the `known` words nearest to `word`, or all of them, as ``a, b or c``."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=3, cutoff=0.5) or names
    return near[0] if len(near) == 1 else f"{', '.join(near[:-1])} or {near[-1]}"
