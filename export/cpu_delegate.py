"""Which operators of a TFLite model LiteRT's XNNPACK delegate takes on this machine's processor."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from lightmobile.export.manifest import Placement

__all__ = ["placement"]

_NODE = "DELEGATE"
_SILENT = "LiteRT does not say why"


def placement(path: Path) -> Placement:
    """Return what LiteRT delegates by default when it loads the ``.tflite`` file at `path`."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    nodes = interpreter._get_ops_details()
    operators = [node for node in nodes if node["op_name"] != _NODE]
    maker = {int(out): node for node in operators for out in node["outputs"]}
    taken: set[int] = set()
    # LiteRT adds one node a piece and keeps the operators that it replaces. They are those that
    # lead from its inputs, all that the piece does not make itself, to its outputs.
    pieces = [node for node in nodes if node["op_name"] == _NODE]
    for piece in pieces:
        given, wanted = set(piece["inputs"].tolist()), piece["outputs"].tolist()
        while wanted:
            tensor = wanted.pop()
            if tensor in maker and tensor not in given and maker[tensor]["index"] not in taken:
                taken.add(maker[tensor]["index"])
                wanted += maker[tensor]["inputs"].tolist()
    delegated = Counter(node["op_name"] for node in operators if node["index"] in taken)
    undelegated = Counter(node["op_name"] for node in operators if node["index"] not in taken)
    return Placement(
        delegate="xnnpack",
        by="LiteRT on this host",
        delegated_subgraphs=len(pieces),
        delegated=dict(delegated),
        undelegated=dict(undelegated),
        reasons=dict.fromkeys(undelegated, _SILENT),
    )
