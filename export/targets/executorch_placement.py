"""Where the operators of a lowered ExecuTorch program run, and why some stay with its runtime."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from lightmobile.export.manifest import Placement

if TYPE_CHECKING:
    import torch

__all__ = ["placement_of", "refusals"]

_XNNPACK_LOGGER = "executorch.backends.xnnpack.partition.config"
_PLUMBING = {"executorch_call_delegate", "getitem", "alloc"}
_SILENT = "its partitioner takes no such operator"
_SILENT_OF_SOME = "its partitioner takes others of that name and does not say why"


def placement_of(
    graph_module: torch.fx.GraphModule, backend: str, reasons: Mapping[str, str]
) -> Placement:
    """Count the operators on both sides of the border, as ExecuTorch reports them.

    Parameters
    ----------
    graph_module
        A lowered program's.
    backend
        Its delegate, or ``portable``.
    reasons
        The partitioner's, by operator; see `refusals`.
    """
    # What executorch.devtools.get_delegation_info counts; importing that takes pandas and 1 s.
    from executorch.exir.lowered_backend_module import get_lowered_submodules

    pieces = [piece for _, piece, _ in get_lowered_submodules(graph_module)]
    delegated: Counter[str] = Counter()
    for piece in pieces:
        delegated += _operators(piece.original_module.graph)
    undelegated = _operators(graph_module.graph)
    whose = "" if backend == "portable" else backend
    return Placement(
        delegate=whose,
        by="the exporter",
        delegated_subgraphs=len(pieces),
        delegated=dict(delegated),
        undelegated=dict(undelegated),
        reasons={
            name: reasons.get(name, _SILENT_OF_SOME if name in delegated else _SILENT)
            for name in undelegated
            if whose
        },
    )


@contextmanager
def refusals(backend: str) -> Iterator[dict[str, str]]:
    """Yield, by operator, why `backend`'s partitioner refuses it while the block lowers a program.

    Of several reasons the last one counts: a partitioner is asked first what not to decompose.
    """
    reasons: dict[str, str] = {}
    listen = _LISTENERS.get(backend)
    level = logging.getLogger().level
    try:
        with listen(reasons) if listen else nullcontext():
            yield reasons
    finally:
        # Importing the Vulkan backend makes every logger of the process talkative.
        logging.getLogger().setLevel(level)


class _XnnpackListener(logging.Handler):
    def __init__(self, reasons: dict[str, str]) -> None:
        super().__init__()
        self.reasons = reasons

    def emit(self, record: logging.LogRecord) -> None:
        # XNNPACK's partitioner logs an object with the node and the reason.
        node, reason = (getattr(record.msg, name, None) for name in ("node", "reason"))
        if node is not None and reason:
            self.reasons[_operator_name(node.target)] = reason


@contextmanager
def _xnnpack(reasons: dict[str, str]) -> Iterator[None]:
    logger, listener = logging.getLogger(_XNNPACK_LOGGER), _XnnpackListener(reasons)
    level, propagate = logger.level, logger.propagate
    logger.addHandler(listener)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(listener)
        logger.setLevel(level)
        logger.propagate = propagate


@contextmanager
def _vulkan(reasons: dict[str, str]) -> Iterator[None]:
    from executorch.backends.vulkan.partitioner.vulkan_partitioner import VulkanSupportedOperators

    def hear(_self: object, node: torch.fx.Node, reason: str) -> None:
        reasons[_operator_name(node.target)] = reason

    # It logs one text, of which the reason would have to be cut out.
    original = VulkanSupportedOperators.log_skip
    VulkanSupportedOperators.log_skip = hear
    try:
        yield
    finally:
        VulkanSupportedOperators.log_skip = original


_LISTENERS: dict[str, Callable[[dict[str, str]], AbstractContextManager[None]]] = {
    "xnnpack": _xnnpack,
    "vulkan": _vulkan,
}


def _operators(graph: torch.fx.Graph) -> Counter[str]:
    names = (_operator_name(node.target) for node in graph.nodes if node.op == "call_function")
    return Counter(name for name in names if name not in _PLUMBING)


def _operator_name(target: Any) -> str:
    # aten.convolution.default -> convolution
    parts = str(getattr(target, "__name__", target)).split(".")
    return parts[-2] if len(parts) > 1 else parts[0]
