"""Matrix products."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lightmobile.export.verification.mil.registry import Call, operator


@operator("linear")
def linear(call: Call) -> Tensor:
    """``x @ weight.T + bias``."""
    return F.linear(call.real("x"), call.real("weight"), call.optional_real("bias"))


@operator("matmul")
def matmul(call: Call) -> Tensor:
    """``x @ y`` with NumPy's broadcasting."""
    x, y = call.real("x"), call.real("y")
    if call.flag("transpose_x"):
        x = x.mT
    if call.flag("transpose_y"):
        y = y.mT
    return torch.matmul(x, y)
