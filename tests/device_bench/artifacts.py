"""Tiny artifacts made by the vendors' own tools, with manifests written by hand."""

from __future__ import annotations

import contextlib
import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from lightmobile.device_bench import protocol
from lightmobile.export.artifact import sha256_of
from lightmobile.export.manifest import (
    Manifest,
    Preprocessing,
    Tensor,
    WeightSource,
    manifest_path,
)
from lightmobile.export.spec import IO, ExportSpec
from lightmobile.export.targets import lower

SHAPE = (2, 3, 16, 16)
NAMES = {"executorch": "tiny.pte", "tflite": "tiny.tflite"}  # by their runtimes


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 10),
    ).eval()


def tensor(array: np.ndarray, folder: Path) -> protocol.Tensor:
    """Write `array` as a runner reads an input."""
    file = folder / f"{array.dtype}-{hash(array.tobytes()):x}"
    array.tofile(file)
    return protocol.Tensor(shape=array.shape, dtype=str(array.dtype), file=str(file))


def inputs(seed: int = 0) -> np.ndarray:
    """Noise, as `write_noise` makes it of this seed."""
    return np.random.default_rng(seed).standard_normal(SHAPE).astype(np.float32)


def expected(seed: int = 0) -> np.ndarray:
    with torch.no_grad():
        return network()(torch.from_numpy(inputs(seed))).numpy()


def write_pte(path: Path) -> None:
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    program = torch.export.export(network(), (torch.zeros(SHAPE),))
    lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
    path.write_bytes(lowered.to_executorch().buffer)
    write_manifest(path, "executorch", "xnnpack")


def write_tflite(path: Path) -> None:
    import litert_torch

    with contextlib.redirect_stdout(io.StringIO()):
        litert_torch.convert(network(), (torch.zeros(SHAPE),)).export(str(path))
    write_manifest(path, "tflite", "tflite")


def write_int8_tflite(path: Path, borders: IO) -> None:
    """Write the network in integers, its input and output in floats or in integers too."""
    noise: Any = [inputs(seed) for seed in range(4)]
    spec = ExportSpec("tflite", precision="int8", io=borders, batch=SHAPE[0])
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # the vendor's own
        lower(network(), spec, path, input_size=SHAPE[2:], images=noise)


def write_manifest(path: Path, target: str, backend: str) -> None:
    manifest = Manifest(
        model="tiny",
        target=target,
        backend=backend,
        precision="fp32",
        input_size=SHAPE[2:],
        batch=SHAPE[0],
        layout="nchw",
        weights=WeightSource(source="untrained", seed=0, sha256="0" * 64),
        preprocessing=Preprocessing(
            resize=16, crop=SHAPE[2:], interpolation="bilinear", mean=(0, 0, 0), std=(1, 1, 1)
        ),
        inputs=(Tensor(name="x", shape=SHAPE, dtype="float32"),),
        outputs=(Tensor(name="y", shape=(SHAPE[0], 10), dtype="float32"),),
        file=path.name,
        file_sha256=sha256_of(path),
        file_bytes=path.stat().st_size,
        versions={},
        why_precision="a test",
    )
    manifest_path(path).write_text(manifest.to_json())


def make(folder: Path) -> None:
    """Write the artifacts of `NAMES` into a folder."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the vendors' own
        write_pte(folder / NAMES["executorch"])
        write_tflite(folder / NAMES["tflite"])
