"""Operators that take tensors apart and put them together."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from lightmobile.export.verification.mil.registry import Call, operator


@operator("slice_by_index")
def slice_by_index(call: Call) -> Tensor:
    """``x[begin:end:stride, ...]``; masks drop a bound, or keep only the element at `begin`."""
    x = call.tensor("x")
    begin, end = call.integers("begin"), call.integers("end")
    stride = call.integers("stride") if call.has("stride") else [1] * x.ndim
    from_start, to_end, single = (
        call.flags(mask) if call.has(mask) else [False] * x.ndim
        for mask in ("begin_mask", "end_mask", "squeeze_mask")
    )
    # Last axis first, so that the places of those still to come do not move.
    for axis in reversed(range(x.ndim)):
        if single[axis]:
            x = x.select(axis, 0 if from_start[axis] else begin[axis])
            continue
        bounds = slice(
            None if from_start[axis] else begin[axis],
            None if to_end[axis] else end[axis],
            stride[axis],
        )
        x = _take(x, axis, range(x.shape[axis])[bounds])
    return x


def _take(x: Tensor, axis: int, places: range) -> Tensor:
    if places.step > 0:
        return x[(slice(None),) * axis + (slice(places.start, places.stop, places.step),)]
    return x.index_select(axis, torch.tensor(places, dtype=torch.int64))


@operator("slice_by_size")
def slice_by_size(call: Call) -> Tensor:
    """`size` elements from `begin` along each axis, all that are left where it is -1."""
    x = call.tensor("x")
    for axis, (begin, size) in enumerate(
        zip(call.integers("begin"), call.integers("size"), strict=True)
    ):
        begin %= x.shape[axis]
        x = x.narrow(axis, begin, x.shape[axis] - begin if size == -1 else size)
    return x


@operator("split")
def split(call: Call) -> Sequence[Tensor]:
    """Cut along an axis, into pieces of given sizes or of one size."""
    x, axis = call.tensor("x"), call.integer("axis")
    if call.has("split_sizes"):
        call.has("num_splits")  # says again how many sizes there are
        cuts = list(itertools.accumulate(call.integers("split_sizes")))[:-1]
        return torch.tensor_split(x, cuts, dim=axis)
    return torch.tensor_split(x, call.integer("num_splits"), dim=axis)


@operator("concat")
def concat(call: Call) -> Tensor:
    """Join along an axis, one after another or element by element in turn."""
    values, axis = call.tensors("values"), call.integer("axis")
    if not call.flag("interleave"):
        return torch.cat([value if value.ndim else value.reshape(1) for value in values], dim=axis)
    axis %= values[0].ndim
    return torch.stack(values, dim=axis + 1).flatten(axis, axis + 1)


@operator("stack")
def stack(call: Call) -> Tensor:
    """Join along a new axis."""
    return torch.stack(call.tensors("values"), dim=call.integer("axis"))


@operator("gather")
def gather(call: Call) -> Tensor:
    """Take the slices of x that `indices` names along an axis."""
    x = call.tensor("x")
    axis = call.integer("axis") % x.ndim
    if call.has("batch_dims") and call.integer("batch_dims") != 0:
        raise call.unknown("batch_dims", call.integer("batch_dims"))
    indices = _indices(call, x.shape[axis])
    taken = x.index_select(axis, indices.reshape(-1))
    return taken.reshape(x.shape[:axis] + indices.shape + x.shape[axis + 1 :])


@operator("gather_along_axis")
def gather_along_axis(call: Call) -> Tensor:
    """Take one element of x for each of `indices` along an axis."""
    x = call.tensor("x")
    axis = call.integer("axis") % x.ndim
    return x.gather(axis, _indices(call, x.shape[axis]))


def _indices(call: Call, size: int) -> Tensor:
    """Return indices within `size`; since iOS 17 what a negative one means is undefined."""
    indices = call.tensor("indices").long()
    lowest = 0 if call.has("validate_indices") else -size
    if bool(((indices < lowest) | (indices >= size)).any()):
        raise call.unknown("indices", indices.tolist())
    return torch.where(indices < 0, indices + size, indices)
