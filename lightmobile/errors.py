"""The exception tree: each error says what happened, why, and what to do about it."""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "ComparisonError",
    "DelegationError",
    "DeviceError",
    "InternalError",
    "LightmobileError",
    "LightmobileWarning",
    "UsageError",
    "VerificationError",
]


class LightmobileError(Exception):
    """Base of every error that lightmobile raises on purpose.

    Parameters
    ----------
    what
        What happened, as one sentence without a full stop.
    why
        The cause, where known.
    fix
        What the reader can do about it.
    """

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, why: str = "", fix: str = "") -> None:
        super().__init__(what, why, fix)
        self.what = what
        self.why = why
        self.fix = fix

    def __str__(self) -> str:
        return ". ".join(part for part in (self.what, self.why, self.fix) if part)

    def to_dict(self) -> dict[str, str]:
        """Return the ``{"code", "what", "why", "fix"}`` form that ``--json`` prints."""
        return {"code": self.code, "what": self.what, "why": self.why, "fix": self.fix}


class InternalError(LightmobileError):
    """Something that should not happen did; exit code 1."""

    code = "internal"


class UsageError(LightmobileError):
    """Bad words, an unreadable or unwritable file, a full disk, a missing package; exit code 2."""

    code = "usage"
    exit_code = 2


class VerificationError(LightmobileError):
    """An artifact does not compute what its model computes; exit code 3."""

    code = "verification"
    exit_code = 3


class DelegationError(LightmobileError):
    """A graph is not delegated as fully as was asked for; exit code 4."""

    code = "delegation"
    exit_code = 4


class DeviceError(LightmobileError):
    """A device is absent, refuses, or cannot run what was asked for; exit code 5."""

    code = "device"
    exit_code = 5


class ComparisonError(LightmobileError):
    """Two results may not be compared; exit code 6."""

    code = "comparison"
    exit_code = 6


class LightmobileWarning(UserWarning):
    """Base of every warning that lightmobile gives on purpose; nothing was lost."""
