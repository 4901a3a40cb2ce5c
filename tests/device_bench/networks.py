"""Artifacts with which runners have trouble: several inputs, no delegate, memory of their own."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["MODELS", "PROGRAMS", "write_model", "write_program"]

SIZES = (2, 3, 8, 8)

Arrays: TypeAlias = list[np.ndarray]


class TwoToTwo(nn.Module):
    """Two inputs of one type, which must not be swapped, nor must the outputs."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, minuend: Tensor, subtrahend: Tensor) -> tuple[Tensor, Tensor]:
        """Return maps [N, 4, H, W] twice, of other values."""
        difference = minuend - subtrahend
        return self.conv(difference), self.conv(difference * difference)


class ChannelsLast(nn.Module):
    """Its output lies in memory with the channels last."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return maps [N, 4, H, W]."""
        return self.conv(x).to(memory_format=torch.channels_last)


class Partly(nn.Module):
    """XNNPACK has convolutions and no cumulative sums."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return maps [N, 4, H, W]."""
        return self.conv(x).cumsum(1)


class Integers(nn.Module):
    """Computes in integers, without a delegate."""

    def forward(self, x: Tensor) -> Tensor:
        """Return [N, C, H, W], int32."""
        return x * 3 - x.sum(dim=1, keepdim=True, dtype=x.dtype)


def write_program(name: str, path: Path) -> tuple[Arrays, Arrays]:
    """Write the ``.pte`` called `name` in :data:`PROGRAMS`; return inputs and outputs for it."""
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import ExecutorchBackendConfig, to_edge_transform_and_lower
    from executorch.exir.passes import MemoryPlanningPass

    network, count, delegated, owns_output = PROGRAMS[name]
    inputs = _inputs(network, count)
    exported = torch.export.export(network.eval(), tuple(inputs))
    partitioners = [XnnpackPartitioner()] if delegated else []
    planning = MemoryPlanningPass(alloc_graph_output=owns_output)
    program = to_edge_transform_and_lower(exported, partitioner=partitioners).to_executorch(
        ExecutorchBackendConfig(memory_planning_pass=planning)
    )
    path.write_bytes(program.buffer)
    return _arrays(inputs), _outputs(network, inputs)


def write_model(name: str, path: Path) -> tuple[Arrays, Arrays]:
    """Write the ``.tflite`` called `name` in :data:`MODELS`; return inputs and outputs for it."""
    import litert_torch

    network, count = MODELS[name]
    inputs = _inputs(network, count)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # the vendor's own
        litert_torch.convert(network.eval(), tuple(inputs)).export(str(path))
    return _arrays(inputs), _outputs(network, inputs)


def _arrays(tensors: Iterable[Tensor]) -> Arrays:
    return [each.contiguous().numpy() for each in tensors]


def _outputs(network: nn.Module, inputs: list[Tensor]) -> Arrays:
    with torch.no_grad():
        outputs = network.eval()(*inputs)
    return _arrays(outputs if isinstance(outputs, tuple) else (outputs,))


def _inputs(network: nn.Module, count: int) -> list[Tensor]:
    torch.manual_seed(1)
    if isinstance(network, Integers):
        return [torch.randint(-100, 100, SIZES, dtype=torch.int32) for _ in range(count)]
    return [torch.randn(SIZES) for _ in range(count)]


#: By name: the network, its inputs, whether XNNPACK takes it, whether it plans its outputs' memory.
PROGRAMS: dict[str, tuple[nn.Module, int, bool, bool]] = {
    "two to two": (TwoToTwo(), 2, True, True),
    "no delegate": (TwoToTwo(), 2, False, True),
    "outputs of its caller": (TwoToTwo(), 2, False, False),
    "channels last": (ChannelsLast(), 1, True, True),
    "integers": (Integers(), 1, False, True),
}

#: By name: the network and its inputs.
MODELS: dict[str, tuple[nn.Module, int]] = {
    "two to two": (TwoToTwo(), 2),
    "partly delegated": (Partly(), 1),
    "integers": (Integers(), 1),
}
