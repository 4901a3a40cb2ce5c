"""PyTorch modules, exported as the Core ML target does, against PyTorch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightmobile.export.verification.mil import MilProgram
from tests.mil.packages import FP16, FP32, Precision, write_module


class SqueezeExcite(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.reduce, self.expand = nn.Conv2d(8, 4, 1), nn.Conv2d(4, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        gate = self.expand(F.silu(self.reduce(x.mean((2, 3), keepdim=True))))
        return x * torch.sigmoid(gate)


class PartialConvolution(nn.Module):
    def __init__(self, form: str) -> None:
        super().__init__()
        self.conv, self.form = nn.Conv2d(2, 2, 3, padding=1, bias=False), form

    def forward(self, x: Tensor) -> Tensor:
        first, rest = x.split([2, 6], 1) if self.form == "split" else (x[:, :2], x[:, 2:])
        return torch.cat([self.conv(first), rest], 1)


class ChannelShuffle(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.qkv, self.out = nn.LayerNorm(8), nn.Linear(8, 24), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.norm(x.flatten(2).transpose(1, 2))
        q, k, v = self.qkv(tokens).chunk(3, -1)
        return self.out(torch.softmax(q @ k.transpose(1, 2) / 8**0.5, -1) @ v)


class SeriesActivation(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.spread = nn.Conv2d(8, 8, 7, padding=3, groups=8)

    def forward(self, x: Tensor) -> Tensor:
        return self.spread(F.relu(x))


def randomized(norm: nn.Module) -> nn.Module:
    for name, value in norm.state_dict().items():
        if value.is_floating_point():
            value.uniform_(0.5 if name == "running_var" else -1, 1.5)
    return norm


MODULES = {
    "strided-conv": lambda: nn.Conv2d(8, 4, 3, stride=2, padding=1),
    "depthwise": lambda: nn.Conv2d(8, 16, 3, padding=1, groups=8, bias=False),
    "dilated": lambda: nn.Conv2d(8, 4, 3, padding="same", dilation=2),
    "even-same": lambda: nn.Conv2d(8, 4, 2, padding="same"),
    "conv-transpose": lambda: nn.ConvTranspose2d(8, 4, 2, stride=2),
    "batch-norm": lambda: randomized(nn.BatchNorm2d(8)),
    "conv-norm": lambda: nn.Sequential(nn.Conv2d(8, 8, 1), randomized(nn.BatchNorm2d(8))),
    "group-norm": lambda: nn.GroupNorm(2, 8),
    "instance-norm": lambda: nn.InstanceNorm2d(8, affine=True),
    "max-pool": lambda: nn.MaxPool2d(3, 2, 1),
    "max-pool-ceil": lambda: nn.MaxPool2d(2, 2, ceil_mode=True),
    "avg-pool": lambda: nn.AvgPool2d(3, 2, 1),
    "avg-pool-excluded": lambda: nn.AvgPool2d(3, 2, 1, count_include_pad=False),
    "head": lambda: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5)),
    "linear-no-bias": lambda: nn.Linear(8, 5, bias=False),
    "gelu": nn.GELU,
    "hardswish": nn.Hardswish,
    "hardsigmoid": nn.Hardsigmoid,
    "silu": nn.SiLU,
    "relu6": nn.ReLU6,
    "leaky-relu": lambda: nn.LeakyReLU(0.1),
    "prelu": lambda: nn.PReLU(8),
    "elu": nn.ELU,
    "mish": nn.Mish,
    "softmax": lambda: nn.Softmax(1),
    "reflection": lambda: nn.ReflectionPad2d((1, 2, 2, 1)),
    "pixel-shuffle": lambda: nn.PixelShuffle(2),
    "pixel-unshuffle": lambda: nn.PixelUnshuffle(2),
    "nearest": lambda: nn.Upsample(scale_factor=2, mode="nearest"),
    "bilinear": lambda: nn.Upsample(scale_factor=2, mode="bilinear"),
    "bilinear-corners": lambda: nn.Upsample((13, 9), mode="bilinear", align_corners=True),
    "squeeze-excite": SqueezeExcite,
    "partial-slices": lambda: PartialConvolution("slices"),
    "partial-split": lambda: PartialConvolution("split"),
    "channel-shuffle": ChannelShuffle,
    "attention": Attention,
    "series-activation": SeriesActivation,
}


@pytest.mark.parametrize("precision", [FP32, FP16], ids=lambda precision: precision.name)
@pytest.mark.parametrize("name", MODULES)
def test_module(name: str, precision: Precision, tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = MODULES[name]().eval()
    x = torch.randn(1, 8, 6, 8)
    program = MilProgram.load(write_module(tmp_path / "a.mlpackage", module, x, precision))
    (result,) = program.run(dict.fromkeys(program.inputs, x.numpy())).values()
    with torch.no_grad():
        wanted = module(x).numpy()
    error = np.linalg.norm(result.astype(np.float32) - wanted) / np.linalg.norm(wanted)
    assert result.shape == wanted.shape
    assert error <= (1e-6 if precision is FP32 else 2e-3)


@pytest.mark.parametrize("opset", ["iOS15", "iOS16", "iOS17", "iOS18"])
def test_every_opset(opset: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GELU(), nn.Flatten(), nn.Linear(64, 5)).eval()
    x = torch.randn(2, 3, 6, 6)
    path = write_module(tmp_path / "a.mlpackage", module, x, opset=opset)
    program = MilProgram.load(path)
    (result,) = program.run(dict.fromkeys(program.inputs, x.numpy())).values()
    np.testing.assert_allclose(result, module(x).detach().numpy(), rtol=1e-6, atol=1e-6)
