"""The artifacts that the tests damage copies of; each is lowered once a session."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from lightmobile.export.manifest import Manifest
from lightmobile.export.verification import Reference
from tests.verification import networks

# name -> file, target, backend, precision
KINDS = {
    "executorch-fp32": ("xnnpack.pte", "executorch", "xnnpack", "fp32"),
    "executorch-fp16": ("xnnpack16.pte", "executorch", "xnnpack", "fp16"),
    "portable-fp32": ("portable.pte", "executorch", "portable", "fp32"),
    "vulkan-fp32": ("vulkan.pte", "executorch", "vulkan", "fp32"),
    "vulkan-fp16": ("vulkan16.pte", "executorch", "vulkan", "fp16"),
    "coreml-delegate-fp16": ("coreml16.pte", "executorch", "coreml", "fp16"),
    "tflite-fp32": ("t.tflite", "tflite", "tflite", "fp32"),
    "coreml-fp16": ("t16.mlpackage", "coreml", "coreml", "fp16"),
    "coreml-fp32": ("t32.mlpackage", "coreml", "coreml", "fp32"),
}


@dataclass(frozen=True)
class Exported:
    """One artifact with all that `check` takes."""

    path: Path
    manifest: Manifest
    reference: Reference
    weights: dict[str, np.ndarray]


@pytest.fixture(scope="session")
def net() -> nn.Module:
    return networks.tiny_net()


@pytest.fixture(scope="session")
def reference(net: nn.Module) -> Reference:
    return networks.reference(net)


@pytest.fixture(scope="session", params=KINDS)
def exported(
    request: pytest.FixtureRequest,
    net: nn.Module,
    reference: Reference,
    tmp_path_factory: pytest.TempPathFactory,
) -> Exported:
    name, target, backend, precision = KINDS[request.param]
    path = tmp_path_factory.mktemp(request.param) / name
    networks.export(net, target, path, precision)
    manifest = networks.manifest(path, target, precision, backend=backend)
    return Exported(path, manifest, reference, networks.state(net))
