"""The names that another layout gives to the same weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

__all__ = ["KeyMap"]

Value = TypeVar("Value")


@dataclass(frozen=True)
class KeyMap:
    """Translate the keys of a state dict by their prefixes; a key that has none stays.

    Attributes
    ----------
    prefixes
        Our prefix -> theirs. Of several that fit a key, the longest counts.
    """

    prefixes: Mapping[str, str]

    def to_theirs(self, state: Mapping[str, Value]) -> dict[str, Value]:
        """Return `state`, in our layout, under their names."""
        return {_replace(key, self.prefixes): value for key, value in state.items()}

    def to_ours(self, state: Mapping[str, Value]) -> dict[str, Value]:
        """Return `state`, in their layout, under our names."""
        back = {theirs: ours for ours, theirs in self.prefixes.items()}
        return {_replace(key, back): value for key, value in state.items()}


def _replace(key: str, prefixes: Mapping[str, str]) -> str:
    fitting = [prefix for prefix in prefixes if key.startswith(prefix)]
    if not fitting:
        return key
    longest = max(fitting, key=len)
    return prefixes[longest] + key.removeprefix(longest)
