"""How a file keeps its weights: in which numbers, of how many bits, whatever their values."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Stored", "bits_of"]


@dataclass(frozen=True)
class Stored:
    """One tensor of weights in a file.

    Attributes
    ----------
    format
        ``float32``, ``float16``, ``int8 per channel``, ``4-bit palette``, and so on.
    bytes
        Of its numbers; scales and palettes do not count.
    """

    format: str
    elements: int
    bytes: int

    @classmethod
    def of(cls, form: str, bits: int, shape: Sequence[int], held: int | None) -> Stored:
        """Return a tensor of `shape`, `bits` a number, of which the file holds `held` bytes.

        `held` is None where another file holds them.

        Raises
        ------
        ValueError
            The file holds fewer than the shape takes.
        """
        elements = math.prod(shape)
        taken = -(-elements * bits // 8)
        if min(shape, default=0) < 0 or (held is not None and taken > held):
            raise ValueError(f"{list(shape)} numbers of {bits} bits do not fit in {held} bytes")
        return cls(form, elements, taken)


def bits_of(dtype: str) -> int:
    """Return the bits of a number of the type named `dtype`; 0 of what is no number."""
    found = re.search(r"\d+", dtype)
    return 8 if dtype == "bool" else int(found[0]) if found else 0
