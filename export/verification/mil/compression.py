"""Constants stored compressed (``constexpr_*``), and quantization of activations.

Parameters changed between iOS 16 and iOS 18; where a name is shared, the shape-giving parameter
tells them apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from lightmobile.errors import VerificationError
from lightmobile.export.verification.compressed import Compressed, palettized, quantized
from lightmobile.export.verification.mil.registry import Call, Node, Value, operator
from lightmobile.export.verification.mil.types import STORAGE


def grid_of(node: Node, values: Mapping[int, Value], dense: Tensor) -> Compressed | None:
    """Return the constant `dense` that `node` decompresses, with what may have been rounded to it.

    None of other operators, whose constants are what they are, and of vectors in palettes.

    Raises
    ------
    VerificationError
        A scale is not a positive number.
    """
    call = Call(node, values)
    if node.type == "constexpr_lut_to_dense":
        return _palette(call, dense)
    try:
        if node.type == "constexpr_affine_dequantize":
            return _affine(call)
        if node.type == "constexpr_blockwise_shift_scale":
            return _blockwise(call)
    except ValueError as error:
        raise VerificationError(f"Cannot evaluate {node}", why=str(error)) from error
    return None


def _affine(call: Call) -> Compressed:
    axis = call.integer("axis") if call.has("axis") else None
    levels, scale, zero_point = (
        call.number(name).numpy() for name in ("quantized_data", "scale", "zero_point")
    )
    return quantized(levels, scale, zero_point, axis)


def _blockwise(call: Call) -> Compressed:
    levels = call.tensor("data")
    scale = _repeated_like(call.real("scale"), levels.shape)
    offset = call.number("offset") if call.has("offset") else torch.zeros(())
    if offset.ndim:
        offset = _repeated_like(offset, levels.shape)
    return quantized(levels.numpy(), scale.numpy(), offset.numpy())


def _palette(call: Call, dense: Tensor) -> Compressed | None:
    values, lut = dense.float().numpy(), call.real("lut").numpy()
    if call.has("shape"):  # iOS 16: one palette of numbers
        return palettized(values, lut)
    blocks, vector = lut.shape[:-2], lut.shape[-1]
    if vector != 1:
        return None
    low, high = np.empty(values.shape), np.empty(values.shape)
    for block in np.ndindex(blocks):
        part = tuple(
            slice(size // count * place, size // count * (place + 1))
            for size, count, place in zip(values.shape, blocks, block, strict=True)
        )
        grid = palettized(values[part], lut[block])
        low[part], high[part] = grid.low, grid.high
    return Compressed(values, low, high)


def _along_axis(parameter: Tensor, x: Tensor, call: Call) -> Tensor:
    """Shape a scalar, or a vector of one value for each element of ``axis``, like `x`."""
    if not call.has("axis") or parameter.ndim == 0:
        return parameter
    shape = [1] * x.ndim
    shape[call.integer("axis")] = -1
    return parameter.reshape(shape)


def _repeated_like(blocks: Tensor, shape: Sequence[int]) -> Tensor:
    """Repeat each element of `blocks` over the block of a tensor of `shape` that it stands for."""
    for axis, size in enumerate(shape):
        blocks = blocks.repeat_interleave(size // blocks.shape[axis], dim=axis)
    return blocks


@operator("constexpr_affine_dequantize", "dequantize")
def dequantize(call: Call) -> Tensor:
    """``scale * (x - zero_point)``."""
    name = "input" if call.node.type == "dequantize" else "quantized_data"
    x = call.tensor(name).float()
    scale = _along_axis(call.real("scale"), x, call)
    if call.has("zero_point"):
        x = x - _along_axis(call.tensor("zero_point").float(), x, call)
    return scale * x


@operator("quantize")
def quantize(call: Call) -> Tensor:
    """``clip(round(x / scale) + zero_point)``, halves to even."""
    x, dtype = call.real("input"), call.text("output_dtype")
    if dtype not in ("int8", "uint8"):
        raise call.unknown("output_dtype", dtype)
    levels = torch.round(x / _along_axis(call.real("scale"), x, call))
    if call.has("zero_point"):
        levels = levels + _along_axis(call.tensor("zero_point").float(), x, call)
    limits = torch.iinfo(STORAGE[dtype].torch)
    return levels.clamp(limits.min, limits.max).to(STORAGE[dtype].torch)


def _shift_scale(data: Tensor, call: Call) -> Tensor:
    x = data.float()
    if call.has("offset"):
        x = x - _repeated_like(call.tensor("offset").float(), x.shape)
    return x * _repeated_like(call.real("scale"), x.shape)


@operator("constexpr_blockwise_shift_scale")
def blockwise_shift_scale(call: Call) -> Tensor:
    """``scale * (data - offset)``, a scale for each block of the data."""
    return _shift_scale(call.tensor("data"), call)


@operator("constexpr_sparse_blockwise_shift_scale")
def sparse_blockwise_shift_scale(call: Call) -> Sequence[Tensor]:
    """`blockwise_shift_scale` of sparse data; gives the mask and the elements it keeps."""
    mask = call.tensor("data_mask")
    dense = _shift_scale(_spread(call.tensor("nonzero_data"), mask), call)
    return mask, dense[mask != 0]


@operator("constexpr_lut_to_dense")
def lut_to_dense(call: Call) -> Tensor:
    """Replace indices by the entries of their block's lookup table."""
    if call.has("shape"):
        return _packed_lut(call)
    return _look_up(call.tensor("indices"), call)


@operator("constexpr_lut_to_sparse")
def lut_to_sparse(call: Call) -> Sequence[Tensor]:
    """`lut_to_dense` of sparse indices; gives the mask and the elements it keeps."""
    mask = call.tensor("indices_mask")
    dense = _look_up(_spread(call.tensor("indices_nonzero_data"), mask), call)
    if dense.shape != mask.shape:
        axis = call.integer("vector_axis")
        mask = mask.repeat_interleave(dense.shape[axis] // mask.shape[axis], dim=axis)
    return mask, dense[mask != 0]


def _look_up(indices: Tensor, call: Call) -> Tensor:
    """Look up in tables [*blocks, entries, vector]; a vector fills ``vector_axis``."""
    lut = call.tensor("lut")
    axis = call.integer("vector_axis") % indices.ndim if call.has("vector_axis") else 0
    blocks, (entries, vector) = lut.shape[:-2], lut.shape[-2:]
    tables = torch.arange(blocks.numel()).reshape(blocks)
    entry = _repeated_like(tables, indices.shape) * entries + indices
    dense = lut.reshape(-1, vector)[entry]
    return dense.movedim(-1, axis + 1).flatten(axis, axis + 1)


def _packed_lut(call: Call) -> Tensor:
    """Look up in the one table of iOS 16, its indices packed into bytes, lowest bit first."""
    lut, shape = call.tensor("lut"), torch.Size(call.integers("shape"))
    width = lut.numel().bit_length() - 1
    bits = _bits(call.tensor("indices"))[: shape.numel() * width].reshape(-1, width).long()
    return lut[(bits << torch.arange(width)).sum(dim=1)].reshape(shape)


@operator("constexpr_sparse_to_dense")
def sparse_to_dense(call: Call) -> Tensor:
    """Put the non-zero elements where the mask has ones."""
    mask = call.tensor("mask")
    if call.has("shape"):  # iOS 16: eight elements a byte, from the least significant bit on
        shape = torch.Size(call.integers("shape"))
        mask = _bits(mask)[: shape.numel()].reshape(shape)
    return _spread(call.tensor("nonzero_data"), mask)


def _bits(packed: Tensor) -> Tensor:
    return ((packed.unsqueeze(-1) >> torch.arange(8, dtype=torch.uint8)) & 1).flatten()


def _spread(nonzero: Tensor, mask: Tensor) -> Tensor:
    dense = nonzero.new_zeros(mask.shape)
    dense[mask != 0] = nonzero
    return dense


@operator("constexpr_cast")
def constexpr_cast(call: Call) -> Tensor:
    """Convert a stored constant to ``output_dtype``."""
    dtype = call.text("output_dtype")
    if dtype != "fp32":
        raise call.unknown("output_dtype", dtype)
    return call.tensor("source_val").float()
