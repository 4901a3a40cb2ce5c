"""Tensor types of MIL, and what holds their values here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

__all__ = ["STORAGE", "TensorType"]

# Integers that torch barely computes with are held in the next wider type.
STORAGE: dict[str, torch.dtype] = {
    "fp16": torch.float16,
    "fp32": torch.float32,
    "bool": torch.bool,
    "int4": torch.int8,
    "int8": torch.int8,
    "int16": torch.int16,
    "int32": torch.int32,
    "uint1": torch.uint8,
    "uint2": torch.uint8,
    "uint3": torch.uint8,
    "uint4": torch.uint8,
    "uint6": torch.uint8,
    "uint8": torch.uint8,
    "uint16": torch.int32,
    "uint32": torch.int64,
}

_NUMPY: dict[str, type[np.generic]] = {
    "fp16": np.float16,
    "fp32": np.float32,
    "bool": np.bool_,
    "int8": np.int8,
    "int16": np.int16,
    "int32": np.int32,
    "uint8": np.uint8,
    "uint16": np.uint16,
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
        return STORAGE[self.dtype]

    @property
    def numpy(self) -> np.dtype[np.generic]:
        """The NumPy type that it has as an input or output of a program."""
        return np.dtype(_NUMPY[self.dtype])
