"""ExecuTorch: a .pte for XNNPACK, or for the portable kernels that run everywhere."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch._subclasses import FakeTensorMode

from lightmobile.export.lowerings import forms_in
from lightmobile.export.manifest import Placement, Tensor
from lightmobile.export.spec import TARGETS
from lightmobile.export.targets import Lowered, import_exporter
from lightmobile.export.targets.decompositions import decomposed
from lightmobile.export.targets.half import HalfInside

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from lightmobile.export.spec import ExportSpec

__all__ = ["INFO", "lower", "preload"]

INFO = TARGETS["executorch"]


def preload() -> None:
    """Import ExecuTorch's exporter; see `Target.preload`."""
    import_exporter(
        INFO, "executorch.exir", "executorch.backends.xnnpack.partition.xnnpack_partitioner"
    )


def lower(module: nn.Module, spec: ExportSpec, path: Path, example: torch.Tensor) -> Lowered:
    """Write `module` to `path`; see `Target.lower`.

    fp16 means fp16 weights and arithmetic but for the head (see `half`); inputs and outputs stay
    float32, so that an application feeds every artifact alike.
    """
    preload()
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    body, lowering = module, forms_in(module)
    if spec.precision == "fp16":
        body = HalfInside(module, example).eval()
        lowering |= {"fp32_layers": ", ".join(body.wide)}
    partitioners = [XnnpackPartitioner()] if spec.backend == "xnnpack" else []
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore", FutureWarning)
        program = torch.export.export(body, (example,))
        if partitioners:
            program = decomposed(program)
        with unmatchable_patterns_skipped(program):
            edge = to_edge_transform_and_lower(program, partitioner=partitioners)
        placement = _placement(edge.exported_program().graph_module)
        executable = edge.to_executorch()
    with path.open("wb") as file:
        executable.write_to_file(file)
    _forget()
    return Lowered(
        placement,
        inputs=(Tensor(name="image", shape=tuple(example.shape), dtype="float32", layout="nchw"),),
        outputs=_outputs(program),
        lowering=lowering,
    )


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


def _placement(graph_module: torch.fx.GraphModule) -> Placement:
    # What executorch.devtools.get_delegation_info counts; importing that takes pandas and 1 s.
    from executorch.exir.lowered_backend_module import get_lowered_submodules

    pieces = [piece for _, piece, _ in get_lowered_submodules(graph_module)]
    delegated: Counter[str] = Counter()
    for piece in pieces:
        delegated += _operators(piece.original_module.graph)
    return Placement(
        delegated_subgraphs=len(pieces),
        delegated=dict(delegated),
        undelegated=dict(_operators(graph_module.graph)),
    )


_PLUMBING = {"executorch_call_delegate", "getitem", "alloc"}


def _operators(graph: torch.fx.Graph) -> Counter[str]:
    names = (_operator_name(node.target) for node in graph.nodes if node.op == "call_function")
    return Counter(name for name in names if name not in _PLUMBING)


def _operator_name(target: Any) -> str:
    # aten.convolution.default -> convolution
    parts = str(getattr(target, "__name__", target)).split(".")
    return parts[-2] if len(parts) > 1 else parts[0]


def _outputs(program: torch.export.ExportedProgram) -> tuple[Tensor, ...]:
    values = [node.meta["val"] for node in program.graph.output_node().args[0]]
    names = ["logits"] if len(values) == 1 else [f"output_{i}" for i in range(len(values))]
    return tuple(
        Tensor(name=name, shape=tuple(value.shape), dtype=str(value.dtype).removeprefix("torch."))
        for name, value in zip(names, values, strict=True)
    )
