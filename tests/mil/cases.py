"""A small program for every operator, beside what it computes written in PyTorch or NumPy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.mil.packages import FP16, FP32, Precision

pytest.importorskip("coremltools")
from coremltools.converters.mil.mil import Builder as mb  # noqa: N813
from coremltools.converters.mil.mil import types

IMAGE = (1, 4, 6, 7)


@dataclass(frozen=True)
class Case:
    """A program of one operator of interest.

    Attributes
    ----------
    operator
        Its name in MIL.
    build
        Makes the program from a type to give constants and from its inputs.
    reference
        Computes the same in fp32 from tensors already rounded to the precision.
    domain
        Bounds of the inputs' values.
    """

    operator: str
    build: Callable[..., Any]
    reference: Callable[..., Any]
    shapes: tuple[tuple[int, ...], ...] = (IMAGE,)
    domain: tuple[float, float] = (-3.0, 3.0)
    opset: str = "iOS17"
    label: str = ""
    precisions: tuple[Precision, ...] = field(default=(FP32, FP16))

    def __str__(self) -> str:
        return "-".join(filter(None, (self.operator, self.label)))


def array(*shape: int) -> np.ndarray[Any, Any]:
    """Return weights that fp16 holds exactly, always the same for one shape."""
    values = np.random.default_rng(sum(shape)).integers(-16, 17, shape)
    return (values / 16).astype(np.float32)


def tensor(*shape: int) -> torch.Tensor:
    return torch.from_numpy(array(*shape))


def unary(name: str, reference: Callable[..., Any], **options: Any) -> Case:
    return Case(name, lambda _, x: getattr(mb, name)(x=x), reference, **options)


def binary(name: str, reference: Callable[..., Any], **options: Any) -> Case:
    return Case(
        name,
        lambda _, x, y: getattr(mb, name)(x=x, y=y),
        reference,
        shapes=((2, 3, 4), (3, 1)),
        **options,
    )


def compared(name: str, reference: Callable[..., Any]) -> Case:
    """Comparisons of equal and unequal numbers: the inputs are rounded to halves first."""

    def halves(x: Any) -> Any:
        return mb.round(x=mb.add(x=x, y=x))

    return Case(
        name,
        lambda _, x, y: getattr(mb, name)(x=halves(x), y=halves(y)),
        lambda x, y: reference((x + x).round(), (y + y).round()),
        shapes=((2, 3, 4), (3, 1)),
    )


def logical(name: str, reference: Callable[..., Any]) -> Case:
    return Case(
        name,
        lambda t, x, y: getattr(mb, name)(x=mb.greater(x=x, y=t(0)), y=mb.greater(x=y, y=t(1))),
        lambda x, y: reference(x > 0, y > 1),
        shapes=((2, 3, 4), (3, 1)),
    )


ELEMENTWISE = [
    unary("abs", torch.abs),
    unary("acos", torch.acos, domain=(-0.9, 0.9)),
    unary("asin", torch.asin, domain=(-0.9, 0.9)),
    unary("atan", torch.atan),
    unary("atanh", torch.atanh, domain=(-0.9, 0.9)),
    unary("ceil", torch.ceil),
    unary("cos", torch.cos),
    unary("cosh", torch.cosh),
    unary("erf", torch.erf),
    unary("exp", torch.exp),
    unary("exp2", lambda x: 2**x),
    unary("floor", torch.floor),
    unary("identity", lambda x: x),
    unary("round", torch.round),
    unary("sign", torch.sign),
    unary("sin", torch.sin),
    unary("sinh", torch.sinh),
    unary("sqrt", torch.sqrt, domain=(0.1, 3.0)),
    unary("square", lambda x: x * x),
    unary("tan", torch.tan, domain=(-1.0, 1.0)),
    unary("tanh", torch.tanh),
    Case(
        "inverse",
        lambda t, x: mb.inverse(x=x, epsilon=t(0.5)),
        lambda x: 1 / (x + 0.5),
        domain=(0.1, 3.0),
    ),
    Case(
        "log",
        lambda t, x: mb.log(x=x, epsilon=t(0.5)),
        lambda x: (x + 0.5).log(),
        domain=(0.1, 3.0),
    ),
    unary("log", torch.log, domain=(0.1, 3.0), label="default"),
    Case(
        "rsqrt",
        lambda t, x: mb.rsqrt(x=x, epsilon=t(0.5)),
        lambda x: 1 / (x + 0.5).sqrt(),
        domain=(0.1, 3.0),
    ),
    Case("clip", lambda t, x: mb.clip(x=x, alpha=t(-1), beta=t(0.5)), lambda x: x.clip(-1, 0.5)),
    Case("threshold", lambda t, x: mb.threshold(x=x, alpha=t(0.5)), lambda x: x.clip(min=0.5)),
    binary("add", torch.add),
    binary("sub", torch.sub),
    binary("mul", torch.mul),
    binary("real_div", torch.div, domain=(0.5, 3.0)),
    binary("maximum", torch.maximum),
    binary("minimum", torch.minimum),
    binary("pow", torch.pow, domain=(0.5, 3.0)),
    Case("floor_div", lambda t, x: mb.floor_div(x=x, y=t(0.5)), lambda x: (x / 0.5).floor()),
    Case("mod", lambda t, x: mb.mod(x=x, y=t(0.5)), lambda x: x - 0.5 * (x / 0.5).floor()),
    compared("equal", torch.eq),
    compared("not_equal", torch.ne),
    compared("greater", torch.gt),
    compared("greater_equal", torch.ge),
    compared("less", torch.lt),
    compared("less_equal", torch.le),
    logical("logical_and", torch.logical_and),
    logical("logical_or", torch.logical_or),
    logical("logical_xor", torch.logical_xor),
    Case("logical_not", lambda t, x: mb.logical_not(x=mb.greater(x=x, y=t(0))), lambda x: x <= 0),
    Case(
        "select",
        lambda t, x: mb.select(cond=mb.greater(x=x, y=t(0)), a=x, b=t(7)),
        lambda x: torch.where(x > 0, x, 7.0),
    ),
    Case(
        "cast", lambda _, x: mb.cast(x=x, dtype="int32"), lambda x: x.trunc().int(), label="integer"
    ),
    Case("cast", lambda _, x: mb.cast(x=x, dtype="fp16"), lambda x: x.half(), label="fp16"),
    Case(
        "cast",
        lambda _, x: mb.cast(x=mb.cast(x=x, dtype="bool"), dtype="fp32"),
        lambda x: (x != 0).float(),
        label="boolean",
    ),
]

ACTIVATIONS = [
    unary("relu", F.relu),
    unary("relu6", lambda x: x.clip(0, 6), domain=(-9, 9)),
    unary("silu", lambda x: x / (1 + torch.exp(-x))),
    unary("sigmoid", lambda x: 1 / (1 + torch.exp(-x))),
    unary("softplus", F.softplus),
    unary("softsign", lambda x: x / (1 + x.abs())),
    Case(
        "leaky_relu",
        lambda t, x: mb.leaky_relu(x=x, alpha=t(0.25)),
        lambda x: F.leaky_relu(x, 0.25),
    ),
    Case("prelu", lambda t, x: mb.prelu(x=x, alpha=t(array(4))), lambda x: F.prelu(x, tensor(4))),
    Case("elu", lambda t, x: mb.elu(x=x, alpha=t(0.5)), lambda x: F.elu(x, 0.5)),
    Case(
        "clamped_relu",
        lambda t, x: mb.clamped_relu(x=x, alpha=t(0.5), beta=t(1)),
        lambda x: F.leaky_relu(x, 0.5).clip(max=1),
    ),
    Case(
        "thresholded_relu",
        lambda t, x: mb.thresholded_relu(x=x, alpha=t(0.5)),
        lambda x: x * (x >= 0.5),
    ),
    Case("gelu", lambda _, x: mb.gelu(x=x), F.gelu, label="exact"),
    Case(
        "gelu",
        lambda _, x: mb.gelu(x=x, mode="TANH_APPROXIMATION"),
        lambda x: F.gelu(x, approximate="tanh"),
        label="tanh",
    ),
    Case(
        "gelu",
        lambda _, x: mb.gelu(x=x, mode="SIGMOID_APPROXIMATION"),
        lambda x: x / (1 + torch.exp(-1.702 * x)),
        label="sigmoid",
    ),
    Case(
        "sigmoid_hard",
        lambda t, x: mb.sigmoid_hard(x=x, alpha=t(0.25), beta=t(0.5)),
        lambda x: (x / 4 + 0.5).clip(0, 1),
    ),
    Case(
        "linear_activation",
        lambda t, x: mb.linear_activation(x=x, alpha=t(0.25), beta=t(0.5)),
        lambda x: x / 4 + 0.5,
    ),
    Case(
        "scaled_tanh",
        lambda t, x: mb.scaled_tanh(x=x, alpha=t(0.25), beta=t(0.5)),
        lambda x: torch.tanh(x / 2) / 4,
    ),
    Case(
        "softplus_parametric",
        lambda t, x: mb.softplus_parametric(x=x, alpha=t(array(4)), beta=t(array(4))),
        lambda x: tensor(4).view(4, 1, 1) * torch.log1p(torch.exp(tensor(4).view(4, 1, 1) * x)),
    ),
    Case("softmax", lambda _, x: mb.softmax(x=x, axis=1), lambda x: F.softmax(x, 1)),
]


def conv(
    label: str, reference: Callable[..., Any], weight: tuple[int, ...], **options: Any
) -> Case:
    shape = options.pop("shape", IMAGE)
    return Case(
        "conv",
        lambda t, x: mb.conv(x=x, weight=t(array(*weight)), **options),
        lambda x: reference(x, tensor(*weight)),
        shapes=(shape,),
        label=label,
    )


def pool(kind: str, label: str, reference: Callable[..., Any], **options: Any) -> Case:
    shape = options.pop("shape", (1, 2, 7, 9))
    return Case(
        kind,
        lambda _, x: getattr(mb, kind)(x=x, **options),
        reference,
        shapes=(shape,),
        label=label,
    )


CONVOLUTIONS = [
    conv("valid", F.conv2d, (3, 4, 3, 3), pad_type="valid"),
    conv("1d", F.conv1d, (3, 4, 3), pad_type="valid", shape=(2, 4, 9)),
    conv("3d", F.conv3d, (3, 4, 2, 3, 2), pad_type="valid", shape=(1, 4, 4, 5, 6)),
    conv(
        "custom",
        lambda x, w: F.conv2d(x, w, padding=(1, 2)),
        (3, 4, 3, 3),
        pad_type="custom",
        pad=[1, 1, 2, 2],
    ),
    conv(
        "custom-uneven",
        lambda x, w: F.conv2d(F.pad(x, (3, 4, 1, 2)), w),
        (3, 4, 3, 3),
        pad_type="custom",
        pad=[1, 2, 3, 4],
    ),
    conv("same", lambda x, w: F.conv2d(F.pad(x, (0, 1, 0, 1)), w), (3, 4, 2, 2), pad_type="same"),
    conv(
        "same-lower",
        lambda x, w: F.conv2d(F.pad(x, (1, 0, 1, 0)), w),
        (3, 4, 2, 2),
        pad_type="same_lower",
    ),
    # 6 rows at stride 2 give 3, so 1 row is missing, below; 7 columns give 4, so 2 are missing.
    conv(
        "same-strided",
        lambda x, w: F.conv2d(F.pad(x, (1, 1, 0, 1)), w, stride=2),
        (3, 4, 3, 3),
        pad_type="same",
        strides=[2, 2],
    ),
    conv(
        "strides-dilations",
        lambda x, w: F.conv2d(x, w, stride=(1, 2), dilation=(2, 1)),
        (3, 4, 3, 3),
        pad_type="valid",
        strides=[1, 2],
        dilations=[2, 1],
    ),
    conv(
        "same-dilated",
        lambda x, w: F.conv2d(x, w, padding=2, dilation=2),
        (3, 4, 3, 3),
        pad_type="same",
        dilations=[2, 2],
    ),
    conv("groups", lambda x, w: F.conv2d(x, w, groups=2), (6, 2, 3, 3), pad_type="valid", groups=2),
    conv(
        "depthwise", lambda x, w: F.conv2d(x, w, groups=4), (4, 1, 3, 3), pad_type="valid", groups=4
    ),
    Case(
        "conv",
        lambda t, x: mb.conv(x=x, weight=t(array(3, 4, 1, 1)), bias=t(array(3))),
        lambda x: F.conv2d(x, tensor(3, 4, 1, 1), tensor(3)),
        label="bias",
    ),
    Case(
        "conv_transpose",
        lambda t, x: mb.conv_transpose(
            x=x, weight=t(array(4, 3, 2, 2)), bias=t(array(3)), strides=[2, 2]
        ),
        lambda x: F.conv_transpose2d(x, tensor(4, 3, 2, 2), tensor(3), stride=2),
    ),
    Case(
        "conv_transpose",
        lambda t, x: mb.conv_transpose(
            x=x,
            weight=t(array(4, 1, 3, 3)),
            groups=4,
            pad_type="custom",
            pad=[1, 1, 1, 1],
            strides=[2, 2],
        ),
        lambda x: F.conv_transpose2d(x, tensor(4, 1, 3, 3), stride=2, padding=1, groups=4),
        label="custom-depthwise",
    ),
]

POOLS = [
    pool(
        "max_pool",
        "valid",
        lambda x: F.max_pool2d(x, 3, 2),
        kernel_sizes=[3, 3],
        strides=[2, 2],
        pad_type="valid",
    ),
    pool(
        "max_pool",
        "custom",
        lambda x: F.max_pool2d(x, 3, 2, 1),
        kernel_sizes=[3, 3],
        strides=[2, 2],
        pad_type="custom",
        pad=[1, 1, 1, 1],
    ),
    pool(
        "max_pool",
        "same",
        lambda x: F.max_pool2d(F.pad(x, (0, 1, 0, 1), value=-np.inf), 2, 1),
        kernel_sizes=[2, 2],
        strides=[1, 1],
        pad_type="same",
    ),
    pool(
        "max_pool",
        "ceil",
        lambda x: F.max_pool2d(x, 2, 2, ceil_mode=True),
        kernel_sizes=[2, 2],
        strides=[2, 2],
        pad_type="valid",
        ceil_mode=True,
    ),
    pool(
        "max_pool",
        "1d",
        lambda x: F.max_pool1d(x, 2, 2),
        kernel_sizes=[2],
        strides=[2],
        pad_type="valid",
        shape=(1, 2, 8),
    ),
    pool(
        "avg_pool",
        "valid",
        lambda x: F.avg_pool2d(x, 3, 2),
        kernel_sizes=[3, 3],
        strides=[2, 2],
        pad_type="valid",
    ),
    pool(
        "avg_pool",
        "custom",
        lambda x: F.avg_pool2d(x, 3, 2, 1),
        kernel_sizes=[3, 3],
        strides=[2, 2],
        pad_type="custom",
        pad=[1, 1, 1, 1],
    ),
    pool(
        "avg_pool",
        "excluded",
        lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
        kernel_sizes=[3, 3],
        strides=[2, 2],
        pad_type="custom",
        pad=[1, 1, 1, 1],
        exclude_padding_from_average=True,
    ),
    pool(
        "avg_pool",
        "uneven",
        lambda x: F.avg_pool2d(F.pad(x, (2, 0, 1, 0)), 3, 1),
        kernel_sizes=[3, 3],
        strides=[1, 1],
        pad_type="custom",
        pad=[1, 0, 2, 0],
    ),
    pool(
        "avg_pool",
        "same-lower",
        lambda x: F.avg_pool2d(F.pad(x, (1, 0, 1, 0)), 2, 1),
        kernel_sizes=[2, 2],
        strides=[1, 1],
        pad_type="same_lower",
    ),
    pool(
        "avg_pool",
        "uneven-excluded",
        lambda x: (
            F.avg_pool2d(F.pad(x, (0, 1, 0, 1)), 2, 1)
            / F.avg_pool2d(F.pad(torch.ones_like(x), (0, 1, 0, 1)), 2, 1)
        ),
        kernel_sizes=[2, 2],
        strides=[1, 1],
        pad_type="same",
        exclude_padding_from_average=True,
    ),
    pool(
        "avg_pool",
        "ceil",
        lambda x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True),
        kernel_sizes=[3, 3],
        strides=[2, 2],
        pad_type="custom",
        pad=[1, 1, 1, 1],
        ceil_mode=True,
        shape=(1, 2, 8, 8),
    ),
    pool(
        "avg_pool",
        "3d",
        lambda x: F.avg_pool3d(x, 2, 1),
        kernel_sizes=[2, 2, 2],
        strides=[1, 1, 1],
        pad_type="valid",
        shape=(1, 2, 3, 4, 5),
    ),
]

LINEAR = [
    Case(
        "linear",
        lambda t, x: mb.linear(x=x, weight=t(array(5, 7)), bias=t(array(5))),
        lambda x: F.linear(x, tensor(5, 7), tensor(5)),
        shapes=((2, 7),),
    ),
    Case(
        "linear",
        lambda t, x: mb.linear(x=x, weight=t(array(5, 7))),
        lambda x: F.linear(x, tensor(5, 7)),
        shapes=((2, 3, 7),),
        label="no-bias",
    ),
    Case("matmul", lambda _, x, y: mb.matmul(x=x, y=y), torch.matmul, shapes=((2, 3, 4), (4, 5))),
    Case(
        "matmul",
        lambda _, x, y: mb.matmul(x=x, y=y, transpose_x=True, transpose_y=True),
        lambda x, y: x.mT @ y.mT,
        shapes=((2, 4, 3), (2, 5, 4)),
        label="transposed",
    ),
    Case(
        "matmul",
        lambda _, x, y: mb.matmul(x=x, y=y),
        torch.matmul,
        shapes=((4,), (4, 5)),
        label="vector",
    ),
]

NORMALIZATIONS = [
    Case(
        "batch_norm",
        lambda t, x: mb.batch_norm(
            x=x,
            mean=t(array(4)),
            variance=t(array(4) ** 2),
            gamma=t(array(4)),
            beta=t(array(4)),
            epsilon=t(0.25),
        ),
        lambda x: F.batch_norm(x, tensor(4), tensor(4) ** 2, tensor(4), tensor(4), eps=0.25),
    ),
    Case(
        "batch_norm",
        lambda t, x: mb.batch_norm(x=x, mean=t(array(4)), variance=t(1 + array(4) ** 2)),
        lambda x: F.batch_norm(x, tensor(4), 1 + tensor(4) ** 2, eps=1e-5),
        label="plain",
        precisions=(FP32,),
    ),
    Case(
        "instance_norm",
        lambda t, x: mb.instance_norm(x=x, gamma=t(array(4)), beta=t(array(4)), epsilon=t(0.25)),
        lambda x: F.instance_norm(x, weight=tensor(4), bias=tensor(4), eps=0.25),
    ),
    Case(
        "layer_norm",
        lambda t, x: mb.layer_norm(
            x=x, axes=[-1, 2], gamma=t(array(6, 7)), beta=t(array(6, 7)), epsilon=t(0.25)
        ),
        lambda x: F.layer_norm(x, (6, 7), tensor(6, 7), tensor(6, 7), eps=0.25),
    ),
    Case(
        "layer_norm",
        lambda t, x: mb.layer_norm(x=x, axes=[1], epsilon=t(0.25)),
        lambda x: F.layer_norm(x.movedim(1, -1), (4,), eps=0.25).movedim(-1, 1),
        label="plain",
    ),
    Case(
        "l2_norm",
        lambda t, x: mb.l2_norm(x=x, epsilon=t(0.25)),
        lambda x: x / (x.square().sum((1, 2, 3), keepdim=True) + 0.25).sqrt(),
    ),
]


def reduced(name: str, reference: Callable[..., Any], **options: Any) -> Case:
    return Case(
        f"reduce_{name}",
        lambda _, x: getattr(mb, f"reduce_{name}")(x=x, axes=[-1, 1], keep_dims=True),
        lambda x: reference(x, (-1, 1), True),
        **options,
    )


REDUCTIONS = [
    reduced("mean", torch.mean),
    reduced("sum", torch.sum),
    reduced("max", torch.amax),
    reduced("min", torch.amin),
    reduced("log_sum_exp", torch.logsumexp),
    reduced("log_sum", lambda x, *a: x.sum(*a).log(), domain=(0.1, 3.0)),
    reduced("sum_square", lambda x, *a: (x * x).sum(*a)),
    reduced("l1_norm", lambda x, *a: x.abs().sum(*a)),
    reduced("l2_norm", lambda x, *a: (x * x).sum(*a).sqrt()),
    Case("reduce_sum", lambda _, x: mb.reduce_sum(x=x), torch.sum, label="everything"),
    Case(
        "reduce_mean",
        lambda _, x: mb.reduce_mean(x=x, axes=[2, 3]),
        lambda x: x.mean((2, 3)),
        label="dropped",
    ),
    Case("reduce_argmax", lambda _, x: mb.reduce_argmax(x=x, axis=1), lambda x: x.argmax(1)),
    Case(
        "reduce_argmin",
        lambda _, x: mb.reduce_argmin(x=x, axis=2, keep_dims=True),
        lambda x: x.argmin(2, keepdim=True),
    ),
]

SHAPES = [
    Case(
        "reshape",
        lambda _, x: mb.reshape(x=x, shape=[0, -1, 14]),
        lambda x: x.reshape(4, 3, 14),
        shapes=((4, 6, 7),),
    ),
    Case(
        "reshape",
        lambda _, x: mb.reshape(x=x, shape=[1, 0, -1, 0]),
        lambda x: x.reshape(1, 1, 2, 50),
        shapes=((2, 50),),
        label="zeros",
    ),
    Case(
        "transpose",
        lambda _, x: mb.transpose(x=x, perm=[0, 2, -1, 1]),
        lambda x: x.permute(0, 2, 3, 1),
    ),
    Case(
        "expand_dims",
        lambda _, x: mb.expand_dims(x=x, axes=[0, -1]),
        lambda x: x[None, ..., None],
        shapes=((2, 3),),
    ),
    Case(
        "squeeze", lambda _, x: mb.squeeze(x=x, axes=[-1]), lambda x: x[..., 0], shapes=((1, 3, 1),)
    ),
    Case(
        "squeeze",
        lambda _, x: mb.squeeze(x=x),
        lambda x: x[0, :, 0],
        shapes=((1, 3, 1),),
        label="everything",
    ),
    Case("shape", lambda _, x: mb.shape(x=x), lambda x: torch.tensor(x.shape)),
    Case("fill", lambda t, x: mb.add(x=x, y=mb.fill(shape=[6, 7], value=t(2))), lambda x: x + 2),
    Case(
        "tile", lambda _, x: mb.tile(x=x, reps=[2, 3]), lambda x: x.repeat(2, 3), shapes=((2, 3),)
    ),
    Case("reverse", lambda _, x: mb.reverse(x=x, axes=[1, -1]), lambda x: x.flip(1, 3)),
    Case("reverse", lambda _, x: mb.reverse(x=x), lambda x: x.flip(0, 1, 2, 3), label="everything"),
    Case(
        "pad",
        lambda t, x: mb.pad(x=x, pad=[1, 2, 3, 4], constant_val=t(5)),
        lambda x: F.pad(x, (3, 4, 1, 2), value=5),
        label="constant",
    ),
    Case(
        "pad",
        lambda t, x: mb.pad(x=x, pad=[1, 2, 3, 4], mode="reflect", constant_val=t(0)),
        lambda x: F.pad(x, (3, 4, 1, 2), mode="reflect"),
        label="reflect",
    ),
    Case(
        "pad",
        lambda t, x: mb.pad(x=x, pad=[1, 2, 3, 4], mode="replicate", constant_val=t(0)),
        lambda x: F.pad(x, (3, 4, 1, 2), mode="replicate"),
        label="replicate",
    ),
    Case(
        "pixel_shuffle",
        lambda _, x: mb.pixel_shuffle(x=x, upscale_factor=2),
        lambda x: F.pixel_shuffle(x, 2),
        shapes=((1, 8, 2, 3),),
    ),
    Case(
        "pixel_unshuffle",
        lambda _, x: mb.pixel_unshuffle(x=x, downscale_factor=np.uint32(2)),
        lambda x: F.pixel_unshuffle(x, 2),
        shapes=((1, 2, 4, 6),),
    ),
    # Each pixel of a block is a group of channels of its own, rows first.
    Case(
        "space_to_depth",
        lambda _, x: mb.space_to_depth(x=x, block_size=2),
        lambda x: torch.cat([x[..., i::2, j::2] for i in (0, 1) for j in (0, 1)], 1),
        shapes=((1, 3, 4, 6),),
    ),
    Case(
        "depth_to_space",
        lambda _, x: mb.depth_to_space(x=mb.space_to_depth(x=x, block_size=2), block_size=2),
        lambda x: x,
        shapes=((1, 3, 4, 6),),
    ),
]

SLICES = [
    Case(
        "slice_by_index",
        lambda _, x: mb.slice_by_index(
            x=x, begin=[0, 1, -5, 0], end=[1, 3, -1, 7], stride=[1, 1, 2, 3]
        ),
        lambda x: x[:, 1:3, -5:-1:2, ::3],
    ),
    Case(
        "slice_by_index",
        lambda _, x: mb.slice_by_index(
            x=x,
            begin=[0, 9, -2, 3],
            end=[0, 2, 0, 9],
            begin_mask=[False, True, False, False],
            end_mask=[True, False, False, True],
            squeeze_mask=[False, False, True, False],
        ),
        lambda x: x[:, :2, -2, 3:],
        label="masks",
    ),
    Case(
        "slice_by_index",
        lambda _, x: mb.slice_by_index(x=x, begin=[4], end=[1], stride=[-2]),
        lambda x: x[[4, 2]],
        shapes=((6,),),
        label="backwards",
    ),
    Case(
        "slice_by_size",
        lambda _, x: mb.slice_by_size(x=x, begin=[0, 1, -3, 2], size=[1, 2, 2, -1]),
        lambda x: x[:, 1:3, 3:5, 2:],
    ),
    Case(
        "split",
        lambda _, x: list(mb.split(x=x, split_sizes=[1, 3], axis=1)),
        lambda x: x.split([1, 3], 1),
        label="sizes",
    ),
    Case(
        "split",
        lambda _, x: list(mb.split(x=x, num_splits=3, axis=2)),
        lambda x: x.split(2, 2),
        label="number",
    ),
    Case(
        "concat",
        lambda _, x, y: mb.concat(values=(x, y), axis=1),
        lambda x, y: torch.cat((x, y), 1),
        shapes=((2, 3, 4), (2, 5, 4)),
    ),
    Case(
        "concat",
        lambda _, x, y: mb.concat(values=(x, y), axis=-1, interleave=True),
        lambda x, y: torch.stack((x, y), -1).flatten(-2),
        shapes=((2, 3), (2, 3)),
        label="interleaved",
    ),
    Case("concat", lambda _, x: mb.concat(values=(x,), axis=0), lambda x: x, label="alone"),
    Case(
        "stack",
        lambda _, x, y: mb.stack(values=(x, y), axis=-1),
        lambda x, y: torch.stack((x, y), -1),
        shapes=((2, 3), (2, 3)),
    ),
    Case(
        "gather",
        lambda _, x: mb.gather(x=x, indices=[[0, 3], [2, 2]], axis=1),
        lambda x: x[:, [[0, 3], [2, 2]]],
    ),
    Case(
        "gather",
        lambda _, x: mb.gather(x=x, indices=[-1, 0], axis=-1),
        lambda x: x[..., [-1, 0]],
        opset="iOS16",
        label="negative",
    ),
    Case(
        "gather",
        lambda _, x: mb.gather(x=x, indices=2, axis=0),
        lambda x: x[2],
        shapes=((3, 4),),
        label="scalar",
    ),
    Case(
        "gather_along_axis",
        lambda _, x: mb.gather_along_axis(x=x, indices=[[0, 2, 1]], axis=0),
        lambda x: x.gather(0, torch.tensor([[0, 2, 1]])),
        shapes=((4, 3),),
    ),
]


def bilinear(mode: str, points: list[float], target: int) -> Case:
    """Interpolate [0, 1], whose values are the grid points of the operator's documentation."""
    return Case(
        "resize_bilinear",
        lambda _, x: mb.resize_bilinear(
            x=x, target_size_height=1, target_size_width=target, sampling_mode=mode
        ),
        lambda x: x[..., :1] + torch.tensor(points) * (x[..., 1:] - x[..., :1]),
        shapes=((1, 3, 1, 2),),
        domain=(0.0, 1.0),
        label=f"{mode}-{target}",
        precisions=(FP32,),
    )


RESIZES = [
    bilinear("UNALIGN_CORNERS", [0.0, 0.1, 0.5, 0.9, 1.0], 5),
    bilinear("STRICT_ALIGN_CORNERS", [0.0, 0.25, 0.5, 0.75, 1.0], 5),
    bilinear("ALIGN_CORNERS", [0.0, 0.25, 0.5, 0.75, 1.0], 5),
    bilinear("ALIGN_CORNERS", [0.5], 1),
    bilinear("DEFAULT", [0.0, 0.4, 0.8, 1.0, 1.0], 5),
    bilinear("OFFSET_CORNERS", [0.1, 0.3, 0.5, 0.7, 0.9], 5),
    bilinear("DEFAULT", [0.0, 1 / 3, 2 / 3, 1.0, 1.0, 1.0], 6),
    *(
        Case(
            "upsample_bilinear",
            lambda _, x, a=align: mb.upsample_bilinear(
                x=x, scale_factor_height=2, scale_factor_width=3, align_corners=a
            ),
            lambda x, a=align: F.interpolate(
                x, scale_factor=(2, 3), mode="bilinear", align_corners=a
            ),
            label="corners" if align else "centers",
            precisions=(FP32,),
        )
        for align in (True, False)
    ),
    Case(
        "upsample_nearest_neighbor",
        lambda _, x: mb.upsample_nearest_neighbor(x=x, scale_factor_height=2, scale_factor_width=3),
        lambda x: F.interpolate(x, scale_factor=(2, 3)),
    ),
    Case(
        "resize_nearest_neighbor",
        lambda _, x: mb.resize_nearest_neighbor(x=x, target_size_height=12, target_size_width=7),
        lambda x: F.interpolate(x, size=(12, 7)),
    ),
    Case(
        "resize",
        lambda _, x: mb.resize(
            x=x, shape=[1, 9, 0], resized_dims=np.uint32(2), sampling_mode="UNALIGN_CORNERS"
        ),
        lambda x: F.interpolate(x, size=(9, 7), mode="bilinear"),
        precisions=(FP32,),
    ),
    Case(
        "resize",
        lambda _, x: mb.resize(
            x=x, shape=[12, 14], resized_dims=np.uint32(2), interpolation_mode="NEAREST_NEIGHBOR"
        ),
        lambda x: F.interpolate(x, size=(12, 14)),
        label="nearest",
    ),
]


def constant(
    operator: str, label: str, expected: Any, opset: str, make: Callable[[Any], Any]
) -> Case:
    """Add a compressed constant, whose values are known, to an input of its shape."""
    values = torch.tensor(expected, dtype=torch.float32)
    return Case(
        operator,
        lambda t, x: mb.add(x=x, y=make(t)),
        lambda x: x + values,
        shapes=(tuple(values.shape),),
        opset=opset,
        label=label,
    )


def bits(values: Any, name: str) -> np.ndarray[Any, Any]:
    """Return integers of fewer than eight bits, as the builder wants them."""
    return np.array(values).astype(types.nptype_from_builtin(types.string_to_builtin(name)))


# The mask and the tables of the operators' own documentation.
_MASK = [[1, 1, 0, 0, 0, 0], [1, 1, 0, 0, 0, 1], [0, 1, 1, 0, 1, 0], [0, 0, 0, 1, 0, 0]]


def _sparse_from(pair: Any) -> Any:
    mask, nonzero = pair
    return mb.constexpr_sparse_to_dense(nonzero_data=nonzero, mask=mask)


CONSTANTS = [
    constant(
        "constexpr_affine_dequantize",
        "vector",
        [[0, 2], [6, 9]],
        "iOS16",
        lambda t: mb.constexpr_affine_dequantize(
            quantized_data=np.array([[1, 2], [3, 4]], np.uint8),
            zero_point=np.uint8(1),
            scale=t([2, 3]),
            axis=0,
        ),
    ),
    constant(
        "constexpr_affine_dequantize",
        "scalar",
        [[-6, 0], [9, -381]],
        "iOS16",
        lambda t: mb.constexpr_affine_dequantize(
            quantized_data=np.array([[-1, 1], [4, -126]], np.int8),
            zero_point=np.int8(1),
            scale=t(3),
            axis=0,
        ),
    ),
    Case(
        "constexpr_cast",
        lambda _, x: mb.add(
            x=x, y=mb.constexpr_cast(source_val=np.float16([1.5, 2.5]), output_dtype="fp32")
        ),
        lambda x: x + torch.tensor([1.5, 2.5]),
        shapes=((2,),),
        opset="iOS16",
        precisions=(FP32,),
    ),
    # 2 bits an index: 0b01_10_11_00 holds 0, 3, 2, 1 and 0b11 one more 3.
    constant(
        "constexpr_lut_to_dense",
        "packed",
        [1, 4, 3, 2, 4],
        "iOS16",
        lambda t: mb.constexpr_lut_to_dense(
            indices=np.array([0b01101100, 0b11], np.uint8),
            lut=t([1, 2, 3, 4]),
            shape=np.array([5], np.uint32),
        ),
    ),
    # 6 bits an index, so that indices cross bytes: 1, 63, 5.
    constant(
        "constexpr_lut_to_dense",
        "packed-6-bits",
        [1, 63, 5],
        "iOS16",
        lambda t: mb.constexpr_lut_to_dense(
            indices=np.array([0b11_000001, 0b0101_1111, 0b00], np.uint8),
            lut=t(np.arange(64)),
            shape=np.array([3], np.uint32),
        ),
    ),
    constant(
        "constexpr_lut_to_dense",
        "groups",
        [[9, 13], [13, 1], [5, 1], [26, 2], [18, 10], [2, 26]],
        "iOS18",
        lambda t: mb.constexpr_lut_to_dense(
            indices=bits([[2, 3], [3, 0], [1, 0], [3, 0], [2, 1], [0, 3]], "uint2"),
            lut=t([1, 5, 9, 13, 2, 10, 18, 26]).reshape(2, 1, 4, 1),
        ),
    ),
    constant(
        "constexpr_lut_to_dense",
        "vectors",
        [
            [[1, 1], [2, 2], [3, 3], [4, 1], [5, 2], [6, 3]],
            [[4, 4], [5, 5], [6, 6], [1, 1], [2, 2], [3, 3]],
        ],
        "iOS18",
        lambda t: mb.constexpr_lut_to_dense(
            indices=bits([[[0, 0], [1, 0]], [[1, 1], [0, 0]]], "uint1"),
            lut=t([1, 2, 3, 4, 5, 6]).reshape(1, 1, 1, 2, 3),
            vector_axis=1,
        ),
    ),
    constant(
        "constexpr_sparse_to_dense",
        "packed",
        [0, 0, 5, 6, 0],
        "iOS16",
        lambda t: mb.constexpr_sparse_to_dense(
            nonzero_data=t([5, 6]),
            mask=np.array([0b01100], np.uint8),
            shape=np.array([5], np.uint32),
        ),
    ),
    constant(
        "constexpr_sparse_to_dense",
        "mask",
        [[0, 5], [6, 0]],
        "iOS18",
        lambda t: mb.constexpr_sparse_to_dense(
            nonzero_data=t([5, 6]), mask=bits([[0, 1], [1, 0]], "uint1")
        ),
    ),
    constant(
        "constexpr_lut_to_sparse",
        "scalars",
        [[2, 3, 0, 0, 0, 0], [3, 2, 0, 0, 0, 3], [0, 3, 2, 0, 2, 0], [0, 0, 0, 3, 0, 0]],
        "iOS18",
        lambda t: _sparse_from(
            mb.constexpr_lut_to_sparse(
                indices_mask=bits(_MASK, "uint1"),
                indices_nonzero_data=bits([0, 1, 1, 0, 1, 1, 0, 0, 1], "uint1"),
                lut=t([2, 3]).reshape(1, 1, 2, 1),
            )
        ),
    ),
    constant(
        "constexpr_lut_to_sparse",
        "vectors",
        [[2, 0], [4, 0], [0, 3], [0, 5]],
        "iOS18",
        lambda t: _sparse_from(
            mb.constexpr_lut_to_sparse(
                indices_mask=bits([[1, 0], [0, 1]], "uint1"),
                indices_nonzero_data=bits([0, 1], "uint1"),
                lut=t([[2, 4], [3, 5]]).reshape(1, 1, 2, 2),
                vector_axis=0,
            )
        ),
    ),
    constant(
        "constexpr_blockwise_shift_scale",
        "blocks",
        [[-1, 0, 2, 4], [1, 2, 6, 8]],
        "iOS18",
        lambda t: mb.constexpr_blockwise_shift_scale(
            data=bits([[0, 1, 2, 3], [2, 3, 4, 5]], "int8"),
            scale=t([[1, 2]]),
            offset=np.array([[1, 1]], np.int8),
        ),
    ),
    constant(
        "constexpr_blockwise_shift_scale",
        "int4",
        [[-16, 14], [-3, 21]],
        "iOS18",
        lambda t: mb.constexpr_blockwise_shift_scale(
            data=bits([[-8, 7], [-1, 7]], "int4"), scale=t([[2], [3]])
        ),
    ),
    constant(
        "constexpr_sparse_blockwise_shift_scale",
        "offset",
        [[9, 18, 0, 0], [2, 4, 6, 0], [0, 0, 9, 12], [7, 14, 0, 0]],
        "iOS18",
        lambda t: _sparse_from(
            mb.constexpr_sparse_blockwise_shift_scale(
                data_mask=bits([[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 1, 1], [1, 1, 0, 0]], "uint1"),
                nonzero_data=np.array([10, 11, 3, 4, 5, 6, 7, 8, 9], np.int8),
                scale=t([[1, 2, 3, 4]]),
                offset=np.array([[1, 2, 3, 4]], np.int8),
            )
        ),
    ),
    Case(
        "quantize",
        lambda t, x: mb.quantize(
            input=x, scale=t(0.25), zero_point=np.uint8(4), output_dtype="uint8"
        ),
        lambda x: (torch.round(x * 4) + 4).clip(0, 255).to(torch.uint8),
        domain=(-3, 80),
    ),
    Case(
        "quantize",
        lambda t, x: mb.quantize(input=x, scale=t([0.25, 0.5, 1, 2]), axis=1, output_dtype="int8"),
        lambda x: (
            torch.round(x / torch.tensor([0.25, 0.5, 1, 2]).view(4, 1, 1))
            .clip(-128, 127)
            .to(torch.int8)
        ),
        label="channels",
    ),
    Case(
        "dequantize",
        lambda t, x: mb.dequantize(
            input=mb.quantize(input=x, scale=t(0.25), output_dtype="int8"),
            scale=t([0.25, 0.5, 1, 2]),
            zero_point=np.array([1, 2, 3, 4], np.int8),
            axis=1,
        ),
        lambda x: (
            (torch.round(x * 4) - torch.tensor([1, 2, 3, 4]).view(4, 1, 1))
            * torch.tensor([0.25, 0.5, 1, 2]).view(4, 1, 1)
        ),
    ),
]

CASES = [
    *ELEMENTWISE,
    *ACTIVATIONS,
    *CONVOLUTIONS,
    *POOLS,
    *LINEAR,
    *NORMALIZATIONS,
    *REDUCTIONS,
    *SHAPES,
    *SLICES,
    *RESIZES,
    *CONSTANTS,
]
