"""Convolution and its transpose, in one to three spatial dimensions."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from lightmobile.export.verification.mil.padding import extend, is_symmetric, spatial_padding
from lightmobile.export.verification.mil.registry import Call, operator

_CONVOLUTIONS = (F.conv1d, F.conv2d, F.conv3d)
_TRANSPOSED = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)


@operator("conv")
def conv(call: Call) -> Tensor:
    """Cross-correlate x [n, C_in, *D] with weight [C_out, C_in / groups, *K]."""
    x, weight = call.real("x"), call.real("weight")
    strides, dilations = call.integers("strides"), call.integers("dilations")
    reach = [(k - 1) * d + 1 for k, d in zip(weight.shape[2:], dilations, strict=True)]
    padding = spatial_padding(call, x.shape[2:], reach, strides)
    within = [before for before, _ in padding]
    if not is_symmetric(padding):
        x, within = extend(x, padding), [0] * len(padding)
    return _CONVOLUTIONS[x.ndim - 3](
        x, weight, call.optional_real("bias"), strides, within, dilations, call.integer("groups")
    )


@operator("conv_transpose")
def conv_transpose(call: Call) -> Tensor:
    """Transpose of `conv` with weight [C_in, C_out / groups, *K]; `pad` crops the result."""
    x, pad, pad_type = call.real("x"), call.integers("pad"), call.text("pad_type")
    if pad_type not in ("valid", "custom"):
        raise call.unknown("pad_type", pad_type)
    y = _TRANSPOSED[x.ndim - 3](
        x,
        call.real("weight"),
        call.optional_real("bias"),
        stride=call.integers("strides"),
        dilation=call.integers("dilations"),
        groups=call.integer("groups"),
    )
    if pad_type == "custom":
        y = extend(
            y, [(-before, -after) for before, after in zip(pad[::2], pad[1::2], strict=True)]
        )
    # Where it asks for more than the formula gives, its documentation does not say which values.
    if call.has("output_shape") and call.integers("output_shape") != list(y.shape):
        raise call.unknown("output_shape", call.integers("output_shape"))
    return y
