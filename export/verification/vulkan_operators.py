"""The operators of ExecuTorch's Vulkan delegate, computed in PyTorch.

Most are ATen's, by name and by arguments. The others are computed as their shaders in
``backends/vulkan/runtime/graph/ops/glsl`` of ExecuTorch 1.5.1 compute them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["compute", "known"]

# Pure functions of their arguments: among all of ATen's are some that read files.
_PURE = """
abs clamp exp hardswish hardtanh leaky_relu neg relu rsqrt sigmoid sqrt tanh
add.Tensor div.Tensor minimum mul.Tensor pow.Tensor_Scalar sub.Tensor
_log_softmax _softmax amax amin mean.dim sum.dim_IntList
avg_pool2d bmm convolution linear max_pool2d_with_indices native_group_norm native_layer_norm
cat clone constant_pad_nd expand_copy flip permute_copy pixel_shuffle repeat select_copy.int
slice_copy.Tensor split_with_sizes_copy squeeze_copy.dims unsqueeze_copy
upsample_bilinear2d.vec upsample_nearest2d.vec view_copy
"""
_ATEN = frozenset(
    f"aten.{name}" if "." in name else f"aten.{name}.default" for name in _PURE.split()
)


def known() -> frozenset[str]:
    """Return the names of the operators that can be computed."""
    return _ATEN | _OWN.keys()


def compute(operator: str, arguments: Sequence[Any]) -> Any:
    """Compute one of the `known` operators; its arguments come in the order of its schema."""
    if operator in _OWN:
        return _OWN[operator](*arguments)
    _, name, overload = operator.split(".")
    function = getattr(getattr(torch.ops.aten, name), overload)
    positional, named = [], {}
    for declared, argument in zip(function._schema.arguments, arguments, strict=True):
        # The exporter keeps equal numbers once, be they integers or not: a start of 0 may be 0.0.
        if str(declared.type) in ("int", "Optional[int]") and isinstance(argument, float):
            argument = int(argument)
        if declared.kwarg_only:
            named[declared.name] = argument
        else:
            positional.append(argument)
    return function(*positional, **named)


def _conv_with_clamp(*arguments: Any) -> Tensor:
    *convolution, low, high = arguments
    result: Tensor = compute("aten.convolution.default", convolution)
    limits = torch.finfo(result.dtype)
    # No limit is written as that of a double.
    return result.clamp(max(low, limits.min), min(high, limits.max))


def _gelu(x: Tensor, _approximate: str) -> Tensor:
    # Whatever approximation is asked for, the shader has this one.
    return F.gelu(x, approximate="tanh")


def _to_real(x: Tensor, *_options: Any) -> Tensor:
    return x.float()


def _prepack(x: Tensor) -> Tensor:
    return x


_OWN: dict[str, Callable[..., Tensor]] = {
    "aten.gelu.default": _gelu,
    "dim_order_ops._to_dim_order_copy.default": _to_real,
    "et_vk.conv_with_clamp.default": _conv_with_clamp,
    "et_vk.prepack.default": _prepack,
}
