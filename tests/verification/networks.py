"""A tiny network of FasterNet's operators, and its artifacts as the vendors' tools write them."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lightmobile.export.artifact import sha256_of, size_of
from lightmobile.export.manifest import Manifest, manifest_path
from lightmobile.export.spec import ExportSpec
from lightmobile.export.targets import lower
from lightmobile.export.targets.executorch_backends import ACCELERATORS
from lightmobile.export.verification.reference import Reference

SIZE = (16, 16)
CLASSES = 5


class Block(nn.Module):
    """A FasterNet block: a convolution of some channels, then two of all, and a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mixed = channels // 4
        self.mixing = nn.Conv2d(self.mixed, self.mixed, 3, padding=1, bias=False)
        self.expand = nn.Conv2d(channels, 2 * channels, 1)
        self.project = nn.Conv2d(2 * channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        mixed = torch.cat([self.mixing(x[:, : self.mixed]), x[:, self.mixed :]], dim=1)
        return x + self.project(nn.functional.gelu(self.expand(mixed)))


class TinyNet(nn.Module):
    """What FasterNet is made of, and a depthwise convolution for its layout of weights."""

    def __init__(self, classes: int = CLASSES) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 8, 4, stride=4)
        self.block = Block(8)
        self.merge = nn.Conv2d(8, 16, 2, stride=2)
        self.depthwise = nn.Conv2d(16, 16, 3, padding=1, groups=16)
        self.head = nn.Linear(16, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.depthwise(self.merge(self.block(self.embed(x))))
        return self.head(torch.relu(x).mean(dim=(2, 3)))


def tiny_net() -> nn.Module:
    """Return the network with weights of a seed, biases no smaller than weights."""
    torch.manual_seed(0)
    net = TinyNet().eval()
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=0.3)
    return net.requires_grad_(False)


def state(net: nn.Module) -> dict[str, np.ndarray]:
    """Return the tensors as `check` takes them."""
    return {name: tensor.numpy() for name, tensor in net.state_dict().items()}


def reference(net: nn.Module, images: int = 12) -> Reference:
    """Return the network's answers; `make_reference` needs one of our models."""
    rng = np.random.default_rng(0)
    seeded, photographs = rng.standard_normal((2, images, 3, *SIZE), np.float32)
    with torch.inference_mode():
        outputs = [net(torch.from_numpy(x)).numpy() for x in (seeded, photographs)]
    return Reference(seeded, photographs, (outputs[0],), (outputs[1],), 0.0)


def manifest(artifact: Path, target: str, precision: str, **changes: Any) -> Manifest:
    """Return the manifest that an export of the network would have."""
    fields: dict[str, Any] = {
        "model": "tiny",
        "target": target,
        "backend": target,
        "precision": precision,
        "input_size": SIZE,
        "batch": 1,
        "layout": "nchw",
        "weights": {"source": "untrained", "seed": 0, "sha256": ""},
        "preprocessing": {
            "resize": 16,
            "crop": SIZE,
            "interpolation": "bilinear",
            "mean": (0.5, 0.5, 0.5),
            "std": (0.25, 0.25, 0.25),
        },
        "inputs": [{"name": "x", "shape": (1, 3, *SIZE), "dtype": "float32"}],
        "outputs": [{"name": "y", "shape": (1, CLASSES), "dtype": "float32"}],
        "file": artifact.name,
        "file_sha256": "",
        "file_bytes": 1,
        "versions": {},
        "why_precision": "",
    }
    return Manifest.model_validate(fields | changes)


def write_manifest(artifact: Path, manifest: Manifest, **changes: Any) -> None:
    """Write the manifest beside `artifact` as it now is, but for the `changes`."""
    fields = {"file_sha256": sha256_of(artifact), "file_bytes": size_of(artifact)} | changes
    manifest_path(artifact).write_text(manifest.model_copy(update=fields).to_json())


def export_executorch(net: nn.Module, path: Path, precision: str, example: Tensor) -> None:
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    for backend in ACCELERATORS:  # They need more than a partitioner.
        if path.name.startswith(backend):
            spec = ExportSpec("executorch", backend, precision, batch=len(example))
            lower(net, spec, path, input_size=example.shape[2:])
            return
    net = copy.deepcopy(net)
    if precision == "fp16":
        net, example = net.half(), example.half()
    backends = [] if path.name.startswith("portable") else [XnnpackPartitioner()]
    program = torch.export.export(net, (example,))
    lowered = to_edge_transform_and_lower(program, partitioner=backends).to_executorch()
    with path.open("wb") as file:
        lowered.write_to_file(file)


def export_tflite(net: nn.Module, path: Path, precision: str, example: Tensor) -> None:
    import litert_torch

    litert_torch.convert(net, (example,)).export(str(path))


def export_coreml(net: nn.Module, path: Path, precision: str, example: Tensor) -> None:
    import coremltools

    program = torch.export.export(net, (example,)).run_decompositions({})
    coremltools.convert(
        program,
        compute_precision=getattr(coremltools.precision, precision.replace("fp", "FLOAT")),
        minimum_deployment_target=coremltools.target.iOS16,
    ).save(str(path))


EXPORTS = {"executorch": export_executorch, "tflite": export_tflite, "coreml": export_coreml}


def export(
    net: nn.Module,
    target: str,
    path: Path,
    precision: str,
    batch: int = 1,
    size: tuple[int, int] = SIZE,
    layout: str = "nchw",
) -> None:
    """Write `net` as an artifact by the vendor's own tools."""
    shape = (batch, 3, *size) if layout == "nchw" else (batch, *size, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        EXPORTS[target](net, path, precision, torch.zeros(shape))
