"""XNNPACK takes quantized networks whole, and computes what PyTorch computes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.fx import GraphModule

from lightmobile.export.inspection.traffic import lowered_bytes
from lightmobile.export.quantization.pt2e import quantize
from lightmobile.export.quantization.xnnpack import StaticQuantizer
from lightmobile.export.spec import ExportSpec
from lightmobile.export.targets import Lowered, lower
from lightmobile.export.verification.compressed import Compressed
from lightmobile.export.verification.engines import ExecuTorch
from lightmobile.export.verification.weights import compare_weights
from lightmobile.models.prepared import prepare
from tests import zoo
from tests.export.tiny import SIZE, tiny_fasternet

PRECISIONS = ("int8", "int8_dynamic")
OFTEN = [(name, "int8") for name in ("falconnet", "mobilenet_v2", "vanillanet_5")]
# Untrained biases are zeros, which no file need hold, but for the head's.
WEIGHTS = 10


class Noise:
    """Batches as a calibration yields them."""

    def __init__(self, batch: int = 1, seed: int = 0) -> None:
        self.shape = (batch, 3, *SIZE)
        self.seed = seed

    def __iter__(self) -> Iterator[np.ndarray]:
        noise = np.random.default_rng(self.seed)
        for _ in range(8):
            yield noise.standard_normal(self.shape, np.float32)


def lowered(net: nn.Module, spec: ExportSpec, path: Path) -> tuple[ExecuTorch, Lowered]:
    images: Any = Noise(spec.batch) if spec.precision == "int8" else None
    report = lower(net, spec, path, input_size=SIZE, images=images)
    return ExecuTorch(path), report


def two_stages() -> nn.Module:
    """Return half the tiny network: the exporter goes over an int8 graph some fifty times."""
    return tiny_fasternet(depths=[1, 1])


def state(net: nn.Module) -> dict[str, np.ndarray]:
    return {name: tensor.numpy() for name, tensor in net.state_dict().items()}


def signal_to_noise_db(engine: ExecuTorch, net: nn.Module, images: np.ndarray) -> float:
    with torch.inference_mode():
        expected = net(torch.from_numpy(images)).numpy()
    (measured,) = engine.run(images)
    return float(10 * np.log10((expected**2).mean() / ((measured - expected) ** 2).mean()))


@pytest.mark.parametrize(("precision", "batch"), [("int8", 1), ("int8", 2), ("int8_dynamic", 1)])
def test_each_precision_computes_what_pytorch_computes(
    precision: str, batch: int, tmp_path: Path
) -> None:
    net = two_stages()
    spec = ExportSpec("executorch", precision=precision, batch=batch)
    engine, report = lowered(net, spec, tmp_path / "net.pte")
    (placement,) = report.placements
    assert (placement.delegated_subgraphs, placement.undelegated) == (1, {})
    assert [tensor.dtype for tensor in (*report.inputs, *report.outputs)] == ["float32"] * 2
    assert 20 < signal_to_noise_db(engine, net, next(iter(Noise(batch, seed=1)))) < 50
    assert compare_weights(engine.constants() or {}, state(net), precision) == WEIGHTS
    # Dynamic grids have a type of their own, also where a layer of an int8 network stays dynamic.
    assert (lowered_bytes(tmp_path / "net.pte") or 0) > 0


@pytest.mark.parametrize(
    ("name", "precision"),
    [
        pytest.param(
            name,
            precision,
            marks=pytest.mark.slow if (name, precision) in OFTEN else pytest.mark.nightly,
        )
        for name in zoo.MEMBERS
        for precision in PRECISIONS
    ],
)
def test_a_member_of_each_family_is_delegated_whole(
    name: str, precision: str, tmp_path: Path
) -> None:
    net = prepare(name, input_size=SIZE, overrides=zoo.MEMBERS[name] | {"num_classes": 10}).deployed
    engine, report = lowered(net, ExportSpec("executorch", precision=precision), tmp_path / "x.pte")
    (placement,) = report.placements
    assert (placement.delegated_subgraphs, placement.undelegated) == (1, {})
    assert compare_weights(engine.constants() or {}, state(net), precision) > 0
    assert signal_to_noise_db(engine, net, next(iter(Noise(seed=1)))) > 10


def kinds(engine: ExecuTorch, net: nn.Module) -> dict[str, bool]:
    """Return of each layer whether its weight is on a grid."""
    found = {}
    constants = (engine.constants() or {}).values()
    for name, weight in state(net).items():
        if weight.ndim > 1:
            values = np.sort(weight, axis=None)
            found[name.removesuffix(".weight")] = not any(
                not isinstance(constant, Compressed)
                and constant.size == weight.size
                and np.array_equal(np.sort(constant, axis=None), values)
                for constant in constants
            )
    return found


@pytest.mark.parametrize(
    ("precision", "keep_fp"),
    [
        ("int8", ("head",)),
        ("int8", ("stages.0", "avgpool_pre_head.1")),
        ("int8_dynamic", ("head",)),
    ],
)
def test_kept_layers_keep_their_weights(
    precision: str, keep_fp: tuple[str, ...], tmp_path: Path
) -> None:
    net = two_stages()
    spec = ExportSpec("executorch", precision=precision, keep_fp=keep_fp)
    engine, report = lowered(net, spec, tmp_path / "net.pte")
    (placement,) = report.placements
    assert (placement.delegated_subgraphs, placement.undelegated) == (1, {})
    assert {name for name, on_grid in kinds(engine, net).items() if not on_grid} == {
        name for name in kinds(engine, net) if name.startswith(keep_fp)
    }


def test_an_average_beyond_those_of_the_calibration_is_not_cut_off(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)
    ).eval()
    engine, report = lowered(net, ExportSpec("executorch", precision="int8"), tmp_path / "net.pte")
    assert report.placements[0].delegated["choose_qparams"] == 1
    # No pixel is beyond those of noise, but noise has a mean of nothing.
    assert signal_to_noise_db(engine, net, np.full((1, 3, *SIZE), 1.0, np.float32)) > 30


class Forked(nn.Module):
    """Two layers take the same input."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.one, self.other = (nn.Conv2d(i, 8, 1) for i in (3, 8, 8))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        return self.one(x) + torch.relu(self.other(x))


class Shuffled(nn.Module):
    """A convolution follows a shuffle of channels."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(nn.functional.channel_shuffle(self.first(x), 2))


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("kind", [Forked, Shuffled])
def test_what_executorch_by_itself_computes_wrongly_or_not_at_all(
    kind: type[nn.Module], precision: str, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    net = kind().eval()
    engine, _ = lowered(net, ExportSpec("executorch", precision=precision), tmp_path / "net.pte")
    assert signal_to_noise_db(engine, net, next(iter(Noise(seed=1)))) > 30


def rounded(graph: GraphModule) -> list[str]:
    """Return the operators whose results are rounded."""
    return [
        node.args[0].target.__name__
        for node in graph.graph.nodes
        if node.op == "call_function"
        and node.target is torch.ops.quantized_decomposed.quantize_per_tensor.default
        and node.args[0].op == "call_function"
    ]


@pytest.mark.parametrize("activation", [nn.ReLU, nn.ReLU6])
def test_a_convolution_is_rounded_after_its_clamp(activation: type[nn.Module]) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), activation(), nn.Conv2d(4, 4, 3)).eval()
    graph = quantize(net, torch.zeros(1, 3, *SIZE), StaticQuantizer(), Noise())
    clamp = {nn.ReLU: "relu.default", nn.ReLU6: "hardtanh.default"}[activation]
    assert rounded(graph) == [clamp, "conv2d.default"]


def test_kept_clamps_and_convolutions_stay_apart() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU6(), nn.Conv2d(4, 4, 3)).eval()
    graph = quantize(net, torch.zeros(1, 3, *SIZE), StaticQuantizer(), Noise(), ["0"])
    assert rounded(graph) == ["hardtanh.default", "conv2d.default"]


def test_small_weights_have_as_many_levels_as_large_ones(tmp_path: Path) -> None:
    net = two_stages()
    with torch.no_grad():
        net.get_parameter("head.weight")[3] *= 1e-6
        net.get_parameter("stages.2.blocks.0.mlp.3.weight")[3] *= 1e-6
    engine, _ = lowered(net, ExportSpec("executorch", precision="int8"), tmp_path / "net.pte")
    assert compare_weights(engine.constants() or {}, state(net), "int8") == WEIGHTS
    for constant in (engine.constants() or {}).values():
        if isinstance(constant, Compressed) and constant.dense.ndim > 1:
            steps = constant.high - constant.low
            most = np.abs(constant.dense).reshape(len(steps), -1).max(axis=1)
            assert (most > 100 * steps.reshape(len(steps), -1).min(axis=1)).all()
