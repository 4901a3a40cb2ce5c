"""ExecuTorch: a .pte for XNNPACK, an accelerator, or the portable kernels that run everywhere."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch._subclasses import FakeTensorMode

from lightmobile.export.lowerings import forms_in
from lightmobile.export.manifest import Tensor
from lightmobile.export.precision import PRECISIONS
from lightmobile.export.quantization.pt2e import quantize
from lightmobile.export.spec import TARGETS
from lightmobile.export.targets import Lowered, import_exporter
from lightmobile.export.targets.decompositions import decomposed
from lightmobile.export.targets.executorch_backends import ACCELERATORS, qnn_quantizer
from lightmobile.export.targets.executorch_placement import placement_of, refusals
from lightmobile.export.targets.half import HalfInside

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from lightmobile.export.calibration import CalibrationImages
    from lightmobile.export.spec import ExportSpec

__all__ = ["INFO", "lower", "preload"]

INFO = TARGETS["executorch"]


def preload() -> None:
    """Import ExecuTorch's exporter; see `Target.preload`."""
    import_exporter(
        INFO, "executorch.exir", "executorch.backends.xnnpack.partition.xnnpack_partitioner"
    )


def lower(
    module: nn.Module,
    spec: ExportSpec,
    path: Path,
    example: torch.Tensor,
    images: CalibrationImages | None = None,
) -> Lowered:
    """Write `module` to `path`; see `Target.lower`.

    fp16 means fp16 weights and arithmetic, on a CPU but for the head (see `half`); inputs and
    outputs stay float32, so that an application feeds every artifact alike.
    """
    preload()
    body, lowering = module, forms_in(module)
    if spec.precision == "fp16" and spec.backend not in ACCELERATORS:
        body = HalfInside(module, example).eval()
        lowering |= {"fp32_layers": ", ".join(body.wide)}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore", FutureWarning)
        if PRECISIONS[spec.precision].quantized:
            body = _quantized(body, spec, example, images)
        program = torch.export.export(body, (example,))
        with refusals(spec.backend) as reasons:
            if spec.backend in ACCELERATORS:
                edge, chosen = ACCELERATORS[spec.backend](program, spec)
                lowering |= chosen
            else:
                edge = _to_edge(program, spec)
        graph_module = edge.exported_program().graph_module
        placement = placement_of(graph_module, spec.backend, reasons)
        executable = edge.to_executorch()
    with path.open("wb") as file:
        executable.write_to_file(file)
    _forget()
    return Lowered(
        (placement,),
        inputs=(Tensor(name="image", shape=tuple(example.shape), dtype="float32", layout="nchw"),),
        outputs=_outputs(program),
        lowering=lowering,
    )


def _quantized(
    module: nn.Module, spec: ExportSpec, example: torch.Tensor, images: CalibrationImages | None
) -> nn.Module:
    from lightmobile.export.quantization.xnnpack import quantized

    if spec.backend == "qnn":
        return quantize(module, example, qnn_quantizer(), images or (), spec.keep_fp)
    return quantized(module, example, images, spec.keep_fp)


def _to_edge(program: torch.export.ExportedProgram, spec: ExportSpec) -> Any:
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    if spec.backend == "portable":
        return to_edge_transform_and_lower(program)
    program = decomposed(program)
    with unmatchable_patterns_skipped(program):
        return to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])


@contextmanager
def unmatchable_patterns_skipped(program: torch.export.ExportedProgram) -> Iterator[None]:
    """Spare XNNPACK the patterns that `program` cannot contain.

    Two of its passes search for decomposed attention and bilinear upsampling. They first export
    and lower the patterns themselves, six programs, which takes a third of the time of the whole
    lowering. A program without softmax holds no attention, one without upsampling or gathers no
    bilinear upsampling: the file comes out the same, byte for byte.
    """
    from executorch.backends.xnnpack.partition.graphs import bilinear_2d, sdpa

    operators = {
        str(node.target)
        for graph_module in program.graph_module.modules()
        if isinstance(graph_module, torch.fx.GraphModule)
        for node in graph_module.graph.nodes
    }
    patterns: tuple[tuple[Any, str, type, tuple[str, ...]], ...] = (
        (sdpa, "get_graphs", list, ("softmax", "attention")),
        (bilinear_2d, "get_graphs_dict", dict, ("upsample", "index")),
    )
    replaced = []
    for home, name, empty, words in patterns:
        if not any(word in operator for operator in operators for word in words):
            replaced.append((home, name, getattr(home, name)))
            setattr(home, name, empty)
    try:
        yield
    finally:
        for home, name, original in replaced:
            setattr(home, name, original)


def _forget() -> None:
    # Both keep what they were called with: the delegate, and with it a copy of all weights.
    from executorch.exir.backend.utils import is_same_node

    FakeTensorMode.cache_clear()
    is_same_node.cache_clear()


def _outputs(program: torch.export.ExportedProgram) -> tuple[Tensor, ...]:
    values = [node.meta["val"] for node in program.graph.output_node().args[0]]
    names = ["logits"] if len(values) == 1 else [f"output_{i}" for i in range(len(values))]
    return tuple(
        Tensor(name=name, shape=tuple(value.shape), dtype=str(value.dtype).removeprefix("torch."))
        for name, value in zip(names, values, strict=True)
    )
