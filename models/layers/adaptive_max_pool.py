"""Max pooling to a fixed size, as the runtimes can do it."""

from __future__ import annotations

from functools import reduce

import torch
from torch import nn
from torch.nn import functional as F

__all__ = ["AdaptiveMaxPool2d"]


class AdaptiveMaxPool2d(nn.Module):
    """Max pool [N, C, H, W] to [N, C, size, size], exactly as `torch.nn.AdaptiveMaxPool2d` does.

    The runtimes have no adaptive pool. But often its windows are those of a plain one: 75 -> 38
    and 19 -> 10 pool 3x3 with stride 2 and padding 1, 38 -> 19 pools 2x2. Where they are not, rows
    and columns are gathered, and the greatest taken; XNNPACK leaves that to the runtime.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the pooled features."""
        axes = [_windows(length, self.size) for length in x.shape[2:]]
        rows, columns = (_plain_pool(windows) for windows in axes)
        if rows and columns:
            kernel, stride, padding = zip(rows, columns, strict=True)
            return F.max_pool2d(x, kernel, stride, padding)
        return _gathered_maximum(_gathered_maximum(x, 2, axes[0]), 3, axes[1])


Windows = list[tuple[int, int]]


def _windows(length: int, size: int) -> Windows:
    """Return where each of `size` windows starts and ends."""
    return [(i * length // size, -(-(i + 1) * length // size)) for i in range(size)]


def _plain_pool(windows: Windows) -> tuple[int, int, int] | None:
    """Return kernel, stride and padding of the plain pool with these windows, if there is one."""
    size, length = len(windows), windows[-1][1]
    kernel = max(end - start for start, end in windows)
    stride = -(-length // size)
    padding = stride * (size - 1) - windows[-1][0]
    starts = [stride * i - padding for i in range(size)]
    plain = [(max(0, start), min(length, start + kernel)) for start in starts]
    if plain != windows or not 0 <= padding <= kernel // 2:
        return None
    return kernel, stride, padding


def _gathered_maximum(x: torch.Tensor, dim: int, windows: Windows) -> torch.Tensor:
    """Return the maximum of each window: of all first elements, all second ones, and so on."""
    longest = max(end - start for start, end in windows)
    indices = [[min(start + i, end - 1) for start, end in windows] for i in range(longest)]
    taps = [x.index_select(dim, torch.tensor(index, device=x.device)) for index in indices]
    return reduce(torch.maximum, taps)
