"""The types of what a store's lines hold: bounded numbers, printable text."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

__all__ = [
    "Bytes",
    "Celsius",
    "Core",
    "Count",
    "Figure",
    "FileName",
    "Id",
    "Megahertz",
    "Name",
    "Nanoseconds",
    "Part",
    "Positive",
    "Sha256",
    "Text",
]

# Exact in every reader's float64; as nanoseconds, 104 days.
_LARGEST = 2**53


def _printable(text: str) -> str:
    """Write out what could move a terminal's cursor, colour it or reverse its text."""
    return "".join(
        char if char.isprintable() or char in "\n\t" else char.encode("unicode_escape").decode()
        for char in text
    )


def _file_name(text: str) -> str:
    if "/" in text or "\\" in text:
        raise ValueError("is a path; a store holds file names only")
    return text


Text: TypeAlias = Annotated[str, StringConstraints(max_length=100_000), AfterValidator(_printable)]
Name: TypeAlias = Annotated[str, StringConstraints(max_length=300), AfterValidator(_printable)]
FileName: TypeAlias = Annotated[Name, AfterValidator(_file_name)]
Id: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Sha256: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Count: TypeAlias = Annotated[int, Field(strict=True, ge=0, le=_LARGEST)]
Positive: TypeAlias = Annotated[int, Field(strict=True, gt=0, le=_LARGEST)]
Bytes: TypeAlias = Count
Nanoseconds: TypeAlias = Annotated[
    int, Field(strict=True, gt=0, le=_LARGEST, description="0 would mean: not timed")
]
Core: TypeAlias = Annotated[int, Field(strict=True, ge=0, lt=2**16)]
Megahertz: TypeAlias = Annotated[float, Field(ge=0, le=1e6)]
Figure: TypeAlias = Annotated[float, Field(ge=0)]
Celsius: TypeAlias = Annotated[float, Field(gt=-100, lt=1000)]


class Part(BaseModel):
    """A part of a line."""

    # Unknown keys of a later version are kept, so that an old reader loses nothing.
    model_config = ConfigDict(
        extra="allow", frozen=True, populate_by_name=True, allow_inf_nan=False
    )
