"""PyTorch's own .pt2 as a target."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from lightmobile.export.manifest import Placement, Tensor
from lightmobile.export.spec import Backend, ExportSpec, TargetInfo
from lightmobile.export.targets import Lowered
from lightmobile.export.verification.engines import ENGINES

INFO = TargetInfo(
    name="pt2",
    title="PyTorch .pt2",
    suffix=".pt2",
    backends={"aten": Backend(("fp32",), "it is a copy")},
    packages=("torch",),
)


def preload() -> None:
    """There is nothing to import beyond torch."""


def lower(
    module: nn.Module, spec: ExportSpec, path: Path, example: torch.Tensor, images: None
) -> Lowered:
    program = torch.export.export(module, (example,))
    torch.export.save(program, path)
    names = [str(node.target) for node in program.graph.nodes if node.op == "call_function"]
    return Lowered(
        (
            Placement(
                delegated_subgraphs=0, delegated={}, undelegated={n: names.count(n) for n in names}
            ),
        ),
        inputs=(Tensor(name="image", shape=tuple(example.shape), dtype="float32", layout="nchw"),),
        outputs=(Tensor(name="logits", shape=(spec.batch, 10), dtype="float32"),),
    )


class Pt2:
    """A ``.pt2`` read back from disk."""

    method = "pt2"

    def __init__(self, path: Path) -> None:
        self.program = torch.export.load(path)
        self.module = self.program.module()
        (example,) = self.program.example_inputs[0]
        self.input_shape = tuple(example.shape)

    def run(self, batch: Any) -> tuple[Any, ...]:
        with torch.no_grad():
            return (self.module(torch.from_numpy(batch)).numpy(),)

    def constants(self) -> dict[str, Any]:
        return {
            name: np.asarray(tensor.detach()) for name, tensor in self.program.state_dict.items()
        }


ENGINES["pt2"] = (Pt2,)
