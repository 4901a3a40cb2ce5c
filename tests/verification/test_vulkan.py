"""Vulkan graphs are computed as PyTorch computes their modules, or refused."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from executorch.backends.vulkan.serialization.vulkan_graph_schema import VkGraph
from executorch.backends.vulkan.serialization.vulkan_graph_serialize import (
    VulkanDelegateHeader,
    convert_to_flatbuffer,
    flatbuffer_to_vk_graph,
)
from torch import Tensor, nn

from lightmobile.errors import VerificationError
from lightmobile.export.spec import ExportSpec
from lightmobile.export.targets import lower
from lightmobile.export.verification.accelerators import VulkanDelegate
from lightmobile.export.verification.delegate import only_delegate
from lightmobile.export.verification.vulkan import VulkanGraph
from lightmobile.export.verification.vulkan_operators import known

SIZE = (12, 16)


class Elementwise(nn.Module):
    """Activations and arithmetic, with tensors and with numbers."""

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        y = F.leaky_relu(F.hardtanh(x)) - F.hardswish(x)
        z = torch.tanh(x).abs() + x.sigmoid() * (-x).exp()
        return (
            torch.minimum(y, z.sqrt()) / (x * x + 1),
            torch.clamp(torch.rsqrt(z), max=3.0) ** 2.0,
            F.relu(x) - F.gelu(x, approximate="tanh"),
        )


class Shapes(nn.Module):
    """What moves numbers, and changes none."""

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        halves = torch.split(x, [1, 3], dim=1)
        rolled = torch.cat([halves[1], halves[0].flip(2)], dim=1)
        rows = x.select(2, 3).unsqueeze(1).expand(-1, 2, -1, -1)
        return (
            F.pixel_shuffle(rolled.permute(0, 1, 3, 2), 2),
            F.pad(x[:, 1:, ::2], (1, 2, 0, 1), value=0.5),
            rows.repeat(1, 1, 2, 1).reshape(4, -1).t(),
            F.interpolate(x, scale_factor=2),
            F.interpolate(x, scale_factor=2, mode="bilinear"),
        )


class Layers(nn.Module):
    """What adds up: convolutions, pooling, products, norms, softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.clamped = nn.Conv2d(4, 8, 3, padding=1)
        self.plain = nn.Conv2d(8, 8, 3, stride=2, dilation=2, groups=4, bias=False)
        self.wider = nn.ConvTranspose2d(8, 4, 2, stride=2)
        self.group_norm = nn.GroupNorm(2, 4)
        self.layer_norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 5)
        self.other = nn.Linear(5, 3, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        y = self.plain(F.relu6(self.clamped(x)))
        z = self.wider(y)
        pooled = F.max_pool2d(z, 3, 2, padding=1) + F.avg_pool2d(z, 3, 2, padding=1)
        tokens = self.layer_norm(y.flatten(2).transpose(1, 2))
        attention = torch.softmax(tokens @ tokens.transpose(1, 2), -1) @ tokens
        logits = self.head(attention.mean(1))
        return (
            self.group_norm(pooled),
            torch.log_softmax(self.other(logits), -1),
            attention.sum(2) + tokens.amax(2) - tokens.amin(2),
        )


class First(nn.Module):
    """Makes of an image what a module takes."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(3, 4, 1)
        self.module = module

    def forward(self, x: Tensor) -> Any:
        return self.module(self.first(x))


MODULES = {module.__name__: module for module in (Elementwise, Shapes, Layers)}


def write(module: nn.Module, path: Path, precision: str = "fp32") -> Path:
    spec = ExportSpec("executorch", "vulkan", precision)
    lower(module.eval(), spec, path, input_size=SIZE)
    return path


def image() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((1, 3, *SIZE), np.float32)


@pytest.mark.slow
def test_every_known_operator_computes_what_pytorch_computes(tmp_path: Path) -> None:
    computed = set()
    for name, kind in MODULES.items():
        module = First(kind())
        path = write(module, tmp_path / f"{name}.pte")
        with torch.inference_mode():
            expected = module(torch.from_numpy(image()))
        for one, measured in zip(expected, VulkanDelegate(path).run(image()), strict=True):
            np.testing.assert_allclose(measured, one.numpy(), rtol=1e-5, atol=1e-5)
        computed |= {call.name for call in decompiled(payload_of(path)).chain}
    assert computed == known()


class Gelu(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(x)


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "least", "most"), [("fp32", 0, 1e-6), ("fp16", 1e-4, 2e-3)])
def test_gelu_is_exact_in_fp32_and_the_shaders_approximation_in_fp16(
    precision: str, least: float, most: float, tmp_path: Path
) -> None:
    # Multiples of 1/256 up to 4 are float16 numbers.
    x = np.arange(3 * 12 * 16, dtype=np.float32).reshape(1, 3, *SIZE) / 256 - 1.5
    (measured,) = VulkanDelegate(write(Gelu(), tmp_path / "gelu.pte", precision)).run(x)
    error = np.abs(measured - F.gelu(torch.from_numpy(x)).numpy()).max()
    assert least <= error <= most


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file for Vulkan whose graph prepacks a number, and has a list of results."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sigmoid(), nn.MaxPool2d(2), Half())
    return write(module, tmp_path_factory.mktemp("vulkan") / "net.pte")


class Half(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 0.5 * x


def payload_of(path: Path) -> bytes:
    return bytes(only_delegate(path, "VulkanBackend").payload)


def decompiled(payload: bytes) -> VkGraph:
    header = VulkanDelegateHeader.from_bytes(payload[:30])
    start = header.flatbuffer_offset
    return flatbuffer_to_vk_graph(payload[start : start + header.flatbuffer_size])


def recompiled(graph: VkGraph) -> memoryview:
    body = convert_to_flatbuffer(graph)
    header = VulkanDelegateHeader(32, len(body), 32 + len(body), 0).to_bytes()
    return memoryview(header.ljust(32, b"\0") + body)


def run(path: Path, change: Callable[[VkGraph], None]) -> np.ndarray:
    graph = decompiled(payload_of(path))
    change(graph)
    named = only_delegate(path, "VulkanBackend").named
    (output,) = VulkanGraph(recompiled(graph), named).run([image()])
    return output


def unchanged(graph: VkGraph) -> None:
    """A graph that was taken apart and put together is the same."""


def call(graph: VkGraph, name: str) -> Any:
    return next(call for call in graph.chain if name in call.name)


def other_name(graph: VkGraph) -> None:
    call(graph, "sigmoid").name = "aten.frobnicate.default"


def a_file_reader(graph: VkGraph) -> None:
    call(graph, "sigmoid").name = "aten.from_file.default"


def an_argument_that_is_none(graph: VkGraph) -> None:
    call(graph, "sigmoid").args[0] = len(graph.values)


def an_argument_too_few(graph: VkGraph) -> None:
    del call(graph, "convolution").args[3]


def an_argument_that_is_computed_later(graph: VkGraph) -> None:
    call(graph, "sigmoid").args[0] = graph.output_ids[0]


def one_memory_for_all(graph: VkGraph) -> None:
    for value in graph.values:
        if hasattr(value.value, "mem_obj_id"):
            value.value.mem_obj_id = 0


def another_shape(graph: VkGraph) -> None:
    graph.values[graph.output_ids[0]].value.dims[1] += 1


def a_constant_that_is_none(graph: VkGraph) -> None:
    graph.constants[0].named_key = "nothing"


def a_constant_in_the_payload(graph: VkGraph) -> None:
    graph.constants[0].offset = 0


def a_constant_longer_than_its_data(graph: VkGraph) -> None:
    graph.constants[0].length = 2**40


def a_shape_of_exabytes(graph: VkGraph) -> None:
    place = next(value.value for value in graph.values if getattr(value.value, "dims", 0))
    place.dims = [2**31] * 4


def test_a_graph_that_the_vendor_wrote_anew_is_the_same(sound: Path) -> None:
    np.testing.assert_array_equal(run(sound, unchanged), VulkanDelegate(sound).run(image())[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (other_name, "operators that are not known here: 'aten.frobnicate.default'"),
        (a_file_reader, "operators that are not known here: 'aten.from_file.default'"),
        (an_argument_that_is_none, "Cannot compute the operator 'aten.sigmoid"),
        (an_argument_too_few, "Cannot compute the operator 'aten.convolution"),
        (an_argument_that_is_computed_later, "Cannot compute the operator 'aten.sigmoid"),
        (one_memory_for_all, "Cannot compute the operator"),
        (another_shape, "Cannot compute the operator 'aten.mul"),
    ],
)
def test_a_graph_that_cannot_be_computed_is_refused(
    sound: Path, change: Callable[[VkGraph], None], message: str
) -> None:
    with pytest.raises(VerificationError, match=message):
        run(sound, change)


@pytest.mark.parametrize(
    "change",
    [
        a_constant_that_is_none,
        a_constant_in_the_payload,
        a_constant_longer_than_its_data,
        a_shape_of_exabytes,
    ],
)
def test_constants_that_are_elsewhere_are_refused(
    sound: Path, change: Callable[[VkGraph], None]
) -> None:
    with pytest.raises(ValueError, match=r"is not in it|outside of it"):
        run(sound, change)


def test_a_payload_that_is_none_is_refused(sound: Path) -> None:
    payload = bytearray(payload_of(sound))
    for damaged in (b"", payload[:20], payload.replace(b"VK00", b"VK99"), b"\0" * 64):
        with pytest.raises((ValueError, struct.error)):
            VulkanGraph(memoryview(bytes(damaged)), {})


class Erf(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.erf(torch.relu(x)) + 1.0


def test_a_program_that_is_not_all_the_delegates_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(VerificationError, match="one piece of VulkanBackend") as refused:
        VulkanDelegate(write(Erf(), tmp_path / "erf.pte"))
    assert "aten::erf" in refused.value.why


def test_a_program_of_another_delegate_is_refused_by_name(sound: Path) -> None:
    with pytest.raises(VerificationError, match="one piece of CoreMLBackend") as refused:
        only_delegate(sound, "CoreMLBackend")
    assert "VulkanBackend" in refused.value.why
