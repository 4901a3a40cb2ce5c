"""How far convolutions and pools reach beyond the edges of their input."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from lightmobile.export.verification.mil.registry import Call

__all__ = ["extend", "is_symmetric", "spatial_padding"]

Padding = list[tuple[int, int]]


def spatial_padding(
    call: Call, sizes: Sequence[int], kernel: Sequence[int], strides: Sequence[int]
) -> Padding:
    """Return the elements added before and after each spatial axis, as ``pad_type`` asks.

    ``same`` gives ``ceil(size / stride)`` outputs; an odd total puts its extra element after
    the axis, with ``same_lower`` before it. The operator's text on this contradicts its own
    shape rule at strides above one; this is the rule, which is TensorFlow's and PyTorch's too.

    Parameters
    ----------
    call
        Convolution or pool with ``pad_type`` and ``pad``.
    sizes, kernel, strides
        A number for each spatial axis; the kernel's with its dilation counted in.
    """
    pad = call.integers("pad")
    match call.text("pad_type"):
        case "valid":
            return [(0, 0)] * len(kernel)
        case "custom":
            return list(zip(pad[::2], pad[1::2], strict=True))
        case "same" | "same_lower" as pad_type:
            totals = [
                max(0, (-(-size // stride) - 1) * stride + reach - size)
                for size, reach, stride in zip(sizes, kernel, strides, strict=True)
            ]
            halves = [(total // 2, total - total // 2) for total in totals]
            return halves if pad_type == "same" else [(after, before) for before, after in halves]
        case pad_type:
            raise call.unknown("pad_type", pad_type)


def is_symmetric(padding: Padding) -> bool:
    """Whether every axis has as much before it as after it."""
    return all(before == after for before, after in padding)


def extend(x: Tensor, padding: Padding, value: float = 0.0) -> Tensor:
    """Surround the last axes of `x` with `value`."""
    # torch lists the last axis first
    return F.pad(x, list(itertools.chain.from_iterable(reversed(padding))), value=value)
