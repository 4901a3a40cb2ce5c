"""Tensor types of MIL, and what holds their values here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

__all__ = ["STORAGE", "Storage", "TensorType"]


class Storage(NamedTuple):
    """What holds the values of an element type inside the evaluator, and outside."""

    torch: torch.dtype
    numpy: type[np.generic]


# Integers that torch barely computes with are held in a wider type.
STORAGE: dict[str, Storage] = {
    "fp16": Storage(torch.float16, np.float16),
    "fp32": Storage(torch.float32, np.float32),
    "bool": Storage(torch.bool, np.bool_),
    "int4": Storage(torch.int8, np.int8),
    "int8": Storage(torch.int8, np.int8),
    "int16": Storage(torch.int16, np.int16),
    "int32": Storage(torch.int32, np.int32),
    "uint1": Storage(torch.uint8, np.uint8),
    "uint2": Storage(torch.uint8, np.uint8),
    "uint3": Storage(torch.uint8, np.uint8),
    "uint4": Storage(torch.uint8, np.uint8),
    "uint6": Storage(torch.uint8, np.uint8),
    "uint8": Storage(torch.uint8, np.uint8),
    "uint16": Storage(torch.int32, np.uint16),
    "uint32": Storage(torch.int64, np.uint32),
}


@dataclass(frozen=True, slots=True)
class TensorType:
    """Shape and MIL element type (``fp16``, ``fp32``, ``int32``, ``bool``, ...) of a tensor."""

    shape: tuple[int, ...]
    dtype: str

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(map(str, self.shape))}]"

    @property
    def storage(self) -> torch.dtype:
        """The torch type that holds it."""
        return STORAGE[self.dtype].torch

    @property
    def numpy(self) -> np.dtype[np.generic]:
        """The NumPy type that it has as an input or output of a program."""
        return np.dtype(STORAGE[self.dtype].numpy)
