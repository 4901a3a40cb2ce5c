"""What a file says of itself, whatever its kind."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from lightmobile.export.manifest import Placement

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lightmobile.export.verification.stored import Stored

__all__ = ["BY_THE_FILE", "Contents", "Memory", "Value", "Weights", "weights_by_format"]

BY_THE_FILE = "the file"
"""What says where operators run, as `Placement.by`."""


@dataclass(frozen=True)
class Value:
    """One input or output.

    Attributes
    ----------
    layout
        Order of the axes, known from the manifest alone.
    scale, zero_point
        Of an integer: it stands for ``scale * (integer - zero_point)``.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    layout: str | None = None
    scale: float | None = None
    zero_point: int | None = None


@dataclass(frozen=True)
class Weights:
    """The weights that are kept in one format.

    Attributes
    ----------
    format
        ``float32``, ``int8 per channel``, ``4-bit palette``, and so on.
    bytes
        Of their numbers; scales and palettes do not count.
    """

    format: str
    tensors: int
    elements: int
    bytes: int


@dataclass(frozen=True)
class Memory:
    """What is known of the memory for activations.

    Attributes
    ----------
    planned_bytes
        Of each buffer that the file plans.
    live_bytes
        Of the largest set of activations that are needed at one time.
    note
        Who decides about the rest, and when.
    """

    note: str
    planned_bytes: tuple[int, ...] = ()
    live_bytes: int | None = None


@dataclass(frozen=True)
class Contents:
    """What a file says of itself."""

    backend: str
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    placements: tuple[Placement, ...]
    weights: tuple[Weights, ...]
    memory: Memory

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return asdict(self) | {"placements": [p.model_dump() for p in self.placements]}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Contents:
        """Return what `to_dict` was made of."""
        memory = fields["memory"]
        return cls(
            backend=fields["backend"],
            inputs=_values(fields["inputs"]),
            outputs=_values(fields["outputs"]),
            placements=tuple(Placement.model_validate(p) for p in fields["placements"]),
            weights=tuple(Weights(**w) for w in fields["weights"]),
            memory=Memory(**memory | {"planned_bytes": tuple(memory["planned_bytes"])}),
        )


def weights_by_format(tensors: Iterable[Stored]) -> tuple[Weights, ...]:
    """Sum up `tensors` by format, what takes most bytes first.

    A number alone is no weight but an operator's factor.
    """
    groups: dict[str, list[Stored]] = defaultdict(list)
    for tensor in tensors:
        if tensor.elements > 1:
            groups[tensor.format].append(tensor)
    sums = [
        Weights(form, len(group), sum(t.elements for t in group), sum(t.bytes for t in group))
        for form, group in groups.items()
    ]
    return tuple(sorted(sums, key=lambda weights: -weights.bytes))


def _values(rows: Iterable[dict[str, Any]]) -> tuple[Value, ...]:
    return tuple(Value(**row | {"shape": tuple(row["shape"])}) for row in rows)
