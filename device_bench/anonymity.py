r"""Lines of a store without what tells whose devices they came from.

What remains is chosen, not what goes: the keys that this version knows and that hold no free
text. Host names, serials and the texts of errors are dropped, unknown keys and unknown kinds of
line too; paths and the names of host and user are struck out of what remains, since they could
hide in the name of a model. Ids become hashes, the same ones in every export, so that an import
can still tell what it has.
"""

from __future__ import annotations

import getpass
import hashlib
import platform
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from lightmobile.device_bench.schema import (
    Configuration,
    DeviceIdentity,
    Failure,
    Line,
    OtherLine,
    Session,
)

__all__ = ["anonymized"]

_REMOVED = "removed"
_DROPPED: dict[type[BaseModel], dict[str, Any]] = {
    Configuration: {"skipped": _REMOVED},
    DeviceIdentity: {"name": None, "serial": None},
    Failure: {"error": _REMOVED},
}
_IDS = {"id", "session", "result"}
_WORDS_OF_THE_SCHEMA = {
    "schema_",
    "kind",
    "stopped",
    "against",
    "clocks",
    "when",
    "outcome",
    "artifact_sha256",
    "output_sha256",
}
_PATH = re.compile(r"(?<![\w.])(?:~|[A-Za-z]:|\\)?[/\\][^\s'\":;,]+")
_ANONYMOUS_ID = re.compile("anonymous-[0-9a-f]{32}")

_Strike = Callable[[str], str]


def anonymized(lines: Iterable[Line]) -> list[Line]:
    """Return `lines` without what identifies a device's owner; of unknown kinds, none."""
    lines = [line for line in lines if not isinstance(line, OtherLine)]
    strike = _striker(lines)
    return [type(line).model_validate(_stripped(line, strike)) for line in lines]


def _stripped(value: Any, strike: _Strike) -> Any:
    if isinstance(value, BaseModel):
        return {field: _field(value, field, strike) for field in type(value).model_fields}
    if isinstance(value, str):
        return strike(value)
    if isinstance(value, tuple):
        return tuple(_stripped(item, strike) for item in value)
    if isinstance(value, dict):
        return {strike(key): _stripped(item, strike) for key, item in value.items()}
    return value


def _field(part: BaseModel, field: str, strike: _Strike) -> Any:
    value = getattr(part, field)
    if value is None or field in _WORDS_OF_THE_SCHEMA:
        return value
    if field in _IDS:
        return _anonymous_id(value)
    return _DROPPED.get(type(part), {}).get(field, _stripped(value, strike))


def _anonymous_id(known: str) -> str:
    # An id is random, so its hash leads no one back; hashing a hash would lose track of it.
    if _ANONYMOUS_ID.fullmatch(known):
        return known
    return "anonymous-" + hashlib.sha256(known.encode()).hexdigest()[:32]


def _striker(lines: Sequence[Line]) -> _Strike:
    names = _names_of_this_machine()
    for line in lines:
        if isinstance(line, Session):
            names |= {line.device.name or "", line.device.serial or ""}
    names |= {name.partition(".")[0] for name in names}
    longest_first = sorted(names - {""}, key=len, reverse=True)
    either = "|".join(re.escape(name) for name in longest_first)
    named = re.compile(rf"(?<![A-Za-z0-9])(?:{either})(?![A-Za-z0-9])", re.IGNORECASE)

    def strike(text: str) -> str:
        text = _PATH.sub(_REMOVED, text)
        return named.sub(_REMOVED, text) if either else text

    return strike


def _names_of_this_machine() -> set[str]:
    names = {platform.node()}
    # A container's user may have neither a name nor a home.
    for ask in (getpass.getuser, lambda: Path.home().name):
        try:
            names.add(ask())
        except (KeyError, OSError, RuntimeError):
            continue
    return names
