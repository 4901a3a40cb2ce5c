"""Resizing of images by nearest neighbour and by linear interpolation."""

from __future__ import annotations

import torch
from torch import Tensor

from lightmobile.export.verification.mil.registry import Call, operator


@operator("upsample_nearest_neighbor")
def upsample_nearest_neighbor(call: Call) -> Tensor:
    """Repeat pixels a whole number of times."""
    x = call.tensor("x")
    for axis, name in ((-2, "scale_factor_height"), (-1, "scale_factor_width")):
        x = _repeat(call, x, axis, int(x.shape[axis] * call.tensor(name).item()))
    return x


@operator("resize_nearest_neighbor")
def resize_nearest_neighbor(call: Call) -> Tensor:
    """Repeat pixels until they fill the target, a whole number of times."""
    x = call.tensor("x")
    for axis, name in ((-2, "target_size_height"), (-1, "target_size_width")):
        x = _repeat(call, x, axis, call.integer(name))
    return x


def _repeat(call: Call, x: Tensor, axis: int, target: int) -> Tensor:
    # Which neighbour is nearest is not documented for other factors, so nothing to verify with.
    if target % x.shape[axis]:
        raise call.unknown("target size", f"{target} for {x.shape[axis]}")
    return x.repeat_interleave(target // x.shape[axis], dim=axis)


@operator("resize_bilinear")
def resize_bilinear(call: Call) -> Tensor:
    """Interpolate to a target size in one of five sampling modes."""
    x, mode = call.real("x"), call.text("sampling_mode")
    for axis, name in ((-2, "target_size_height"), (-1, "target_size_width")):
        x = _interpolate(call, x, axis, call.integer(name), mode)
    return x


@operator("upsample_bilinear")
def upsample_bilinear(call: Call) -> Tensor:
    """Interpolate by a factor, which is recomputed from the size that it gives."""
    x, corners = call.real("x"), call.flag("align_corners")
    centers = call.flag("half_pixel_centers") if call.has("half_pixel_centers") else not corners
    if corners and centers:
        raise call.unknown("half_pixel_centers", centers)
    mode = "STRICT_ALIGN_CORNERS" if corners else "UNALIGN_CORNERS" if centers else "DEFAULT"
    for axis, name in ((-2, "scale_factor_height"), (-1, "scale_factor_width")):
        x = _interpolate(call, x, axis, int(x.shape[axis] * call.tensor(name).item()), mode)
    return x


@operator("resize")
def resize(call: Call) -> Tensor:
    """Resize the last `resized_dims` axes to the last sizes of `shape`, 0 keeping one."""
    x, mode = call.number("x"), call.text("sampling_mode")
    sizes = call.integers("shape")[-call.integer("resized_dims") :]
    interpolation = call.text("interpolation_mode")
    if interpolation not in ("LINEAR", "NEAREST_NEIGHBOR"):
        raise call.unknown("interpolation_mode", interpolation)
    for axis, size in enumerate(sizes, start=x.ndim - len(sizes)):
        target = size or x.shape[axis]
        if interpolation == "LINEAR":
            x = _interpolate(call, x, axis, target, mode)
        else:
            x = _repeat(call, x, axis, target)
    return x


def _interpolate(call: Call, x: Tensor, axis: int, target: int, mode: str) -> Tensor:
    """Interpolate linearly along one axis, at the grid points of ``resize_bilinear``'s text."""
    size = x.shape[axis]
    points = _grid(call, size, target, mode).clamp(0, size - 1)
    left = points.floor()
    right = (left + 1).clamp(max=size - 1)
    weight = (points - left).float().reshape([-1] + [1] * (x.ndim - 1 - axis % x.ndim))
    a, b = x.index_select(axis, left.long()), x.index_select(axis, right.long())
    return a * (1 - weight) + b * weight


def _grid(call: Call, size: int, target: int, mode: str) -> Tensor:
    places = torch.arange(target, dtype=torch.float64)
    match mode:
        case "STRICT_ALIGN_CORNERS" | "ALIGN_CORNERS" if target > 1 or size == 1:
            return places * ((size - 1) / max(target - 1, 1))
        case "ALIGN_CORNERS":
            return torch.full((1,), (size - 1) / 2, dtype=torch.float64)
        case "DEFAULT":
            return places * (size / target)
        case "OFFSET_CORNERS":
            step = max(1, size - 1) / target
            return (places + 0.5) * step
        case "UNALIGN_CORNERS":
            return (places + 0.5) * (size / target) - 0.5
        case _:
            raise call.unknown("sampling_mode", f"{mode} for {size} to {target}")
