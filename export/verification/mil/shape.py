"""Operators that give the same values another shape or place."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lightmobile.export.verification.mil.padding import extend
from lightmobile.export.verification.mil.registry import Call, operator


@operator("reshape")
def reshape(call: Call) -> Tensor:
    """Keep the row-major order; -1 is what is left, 0 the old size counted from the right."""
    x, shape = call.tensor("x"), call.integers("shape")
    sizes = list(reversed(x.shape))
    for place, size in enumerate(reversed(shape)):
        if size == 0:
            shape[-1 - place] = sizes[place] if place < len(sizes) else 1
    return x.reshape(shape)


@operator("transpose")
def transpose(call: Call) -> Tensor:
    """Permute the axes."""
    return call.tensor("x").permute(call.integers("perm"))


@operator("expand_dims")
def expand_dims(call: Call) -> Tensor:
    """Insert axes of size one, counted in the result."""
    x, axes = call.tensor("x"), call.integers("axes")
    rank = x.ndim + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        x = x.unsqueeze(axis)
    return x


@operator("squeeze")
def squeeze(call: Call) -> Tensor:
    """Remove axes of size one, all of them if none are named; others named are kept."""
    x = call.tensor("x")
    return x.squeeze(call.integers("axes")) if call.has("axes") else x.squeeze()


@operator("shape")
def shape(call: Call) -> Tensor:
    """Return the sizes of x."""
    return torch.tensor(call.tensor("x").shape, dtype=torch.int32)


@operator("fill")
def fill(call: Call) -> Tensor:
    """One value everywhere."""
    return call.tensor("value").expand(call.integers("shape"))


@operator("tile")
def tile(call: Call) -> Tensor:
    """Repeat along each axis."""
    return call.tensor("x").repeat(call.integers("reps"))


@operator("reverse")
def reverse(call: Call) -> Tensor:
    """Turn axes around, all of them if none are named."""
    x = call.tensor("x")
    return x.flip(call.integers("axes") if call.has("axes") else list(range(x.ndim)))


@operator("pad")
def pad(call: Call) -> Tensor:
    """Extend the last axes; `pad` holds a pair for each of them, first axis first."""
    x, amounts, mode = call.tensor("x"), call.integers("pad"), call.text("mode")
    value = float(call.number("constant_val").item())
    pairs = list(zip(amounts[::2], amounts[1::2], strict=True))
    if mode == "constant":
        return extend(x, pairs, value)
    if mode not in ("reflect", "replicate"):
        raise call.unknown("mode", mode)
    for axis, (before, after) in enumerate(pairs, start=x.ndim - len(pairs)):
        x = x.index_select(axis, _beyond(x.shape[axis], before, after, mode))
    return x


def _beyond(size: int, before: int, after: int, mode: str) -> Tensor:
    """Return where the elements of an extended axis come from."""
    places = torch.arange(-before, size + after)
    if mode == "replicate":
        return places.clamp(0, size - 1)
    return (size - 1) - (places.abs() - (size - 1)).abs()


@operator("pixel_shuffle")
def pixel_shuffle(call: Call) -> Tensor:
    """[n, C * f * f, H, W] to [n, C, H * f, W * f], as PyTorch's."""
    return F.pixel_shuffle(call.tensor("x"), call.integer("upscale_factor"))


@operator("pixel_unshuffle")
def pixel_unshuffle(call: Call) -> Tensor:
    """[n, C, H, W] to [n, C * f * f, H / f, W / f], as PyTorch's."""
    return F.pixel_unshuffle(call.tensor("x"), call.integer("downscale_factor"))


@operator("space_to_depth")
def space_to_depth(call: Call) -> Tensor:
    """[n, C, H, W] to [n, b * b * C, H / b, W / b]: channels innermost, as TensorFlow's."""
    x, block = call.tensor("x"), call.integer("block_size")
    n, channels, height, width = x.shape
    x = x.reshape(n, channels, height // block, block, width // block, block)
    return x.permute(0, 3, 5, 1, 2, 4).reshape(n, -1, height // block, width // block)


@operator("depth_to_space")
def depth_to_space(call: Call) -> Tensor:
    """[n, b * b * C, H, W] to [n, C, H * b, W * b]: the inverse of `space_to_depth`."""
    x, block = call.tensor("x"), call.integer("block_size")
    n, _, height, width = x.shape
    x = x.reshape(n, block, block, -1, height, width)
    return x.permute(0, 3, 4, 1, 5, 2).reshape(n, -1, height * block, width * block)
