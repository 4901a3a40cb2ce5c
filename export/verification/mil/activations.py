"""Activation functions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lightmobile.export.verification.mil.registry import Call, operator


def per_channel(parameter: Tensor, x: Tensor) -> Tensor:
    """Shape a vector of one value a channel to broadcast over `x` [n, C, *D]."""
    return parameter.reshape(-1, *(1,) * (x.ndim - 2))


@operator("relu")
def relu(call: Call) -> Tensor:
    """``max(x, 0)``."""
    return torch.relu(call.real("x"))


@operator("relu6")
def relu6(call: Call) -> Tensor:
    """``min(max(x, 0), 6)``."""
    return F.relu6(call.real("x"))


@operator("leaky_relu")
def leaky_relu(call: Call) -> Tensor:
    """``x`` where it is not negative, ``alpha * x`` elsewhere."""
    x = call.real("x")
    return torch.where(x >= 0, x, call.real("alpha") * x)


@operator("prelu")
def prelu(call: Call) -> Tensor:
    """``x`` where it is positive, ``alpha * x`` elsewhere, with one alpha a channel."""
    x = call.real("x")
    return torch.where(x > 0, x, per_channel(call.real("alpha"), x) * x)


@operator("elu")
def elu(call: Call) -> Tensor:
    """``x`` where it is positive, ``alpha * (exp(x) - 1)`` elsewhere."""
    x = call.real("x")
    return torch.where(x > 0, x, call.real("alpha") * torch.expm1(x))


@operator("clamped_relu")
def clamped_relu(call: Call) -> Tensor:
    """``min(beta, x)`` where x is not negative, ``min(beta, alpha * x)`` elsewhere."""
    x = call.real("x")
    return torch.minimum(torch.where(x >= 0, x, call.real("alpha") * x), call.real("beta"))


@operator("thresholded_relu")
def thresholded_relu(call: Call) -> Tensor:
    """``x`` where it is at least alpha, 0 elsewhere."""
    x = call.real("x")
    return torch.where(x >= call.real("alpha"), x, 0.0)


@operator("gelu")
def gelu(call: Call) -> Tensor:
    """Gaussian error linear unit, exact or in one of its two approximations."""
    x = call.real("x")
    match call.text("mode"):
        case "EXACT":
            return F.gelu(x)
        case "TANH_APPROXIMATION":
            return F.gelu(x, approximate="tanh")
        case "SIGMOID_APPROXIMATION":
            return x * torch.sigmoid(1.702 * x)
        case mode:
            raise call.unknown("mode", mode)


@operator("silu")
def silu(call: Call) -> Tensor:
    """``x * sigmoid(x)``."""
    return F.silu(call.real("x"))


@operator("sigmoid")
def sigmoid(call: Call) -> Tensor:
    """``1 / (1 + exp(-x))``."""
    return torch.sigmoid(call.real("x"))


@operator("sigmoid_hard")
def sigmoid_hard(call: Call) -> Tensor:
    """``min(max(alpha * x + beta, 0), 1)``."""
    return torch.clamp(call.real("alpha") * call.real("x") + call.real("beta"), 0, 1)


@operator("linear_activation")
def linear_activation(call: Call) -> Tensor:
    """``alpha * x + beta``."""
    return call.real("alpha") * call.real("x") + call.real("beta")


@operator("scaled_tanh")
def scaled_tanh(call: Call) -> Tensor:
    """``alpha * tanh(beta * x)``."""
    return call.real("alpha") * torch.tanh(call.real("beta") * call.real("x"))


@operator("softplus")
def softplus(call: Call) -> Tensor:
    """``log(1 + exp(x))``."""
    x = call.real("x")
    return torch.logaddexp(x, torch.zeros_like(x))


@operator("softplus_parametric")
def softplus_parametric(call: Call) -> Tensor:
    """``alpha * log(1 + exp(beta * x))``, with one alpha and one beta a channel."""
    x = call.real("x")
    scaled = per_channel(call.real("beta"), x) * x
    return per_channel(call.real("alpha"), x) * torch.logaddexp(scaled, torch.zeros_like(x))


@operator("softsign")
def softsign(call: Call) -> Tensor:
    """``x / (1 + |x|)``."""
    return F.softsign(call.real("x"))


@operator("softmax")
def softmax(call: Call) -> Tensor:
    """``exp(x) / sum(exp(x))`` along an axis."""
    return torch.softmax(call.real("x"), dim=call.integer("axis"))
