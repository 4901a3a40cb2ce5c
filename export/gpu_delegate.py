"""Which operators of a TFLite model LiteRT's GPU delegate leaves to the processor.

The operators and types are those of ``NewOperationParser`` and ``GetOpsToReplace`` in
``tflite/delegates/gpu/common/model_builder.cc``, the rules for one operator those of
``tflite/tools/versioning/gpu_compatibility.cc``, both of https://github.com/google-ai-edge/LiteRT
(https://ai.google.dev/edge/litert/performance/gpu lists fewer). The wheel's own analyzer is built
without these rules: it calls every model compatible. A driver may still refuse what passes here.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lightmobile.export.manifest import Placement

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Refused", "placement", "refused"]

_NAMES = """
ABS ADD ADD_N AVERAGE_POOL_2D BATCH_MATMUL CAST CONCATENATION CONV_2D COS CUMSUM DENSIFY
DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE DIV ELU EQUAL EXP FLOOR FLOOR_DIV FLOOR_MOD
FULLY_CONNECTED GATHER GELU GREATER GREATER_EQUAL HARD_SWISH LEAKY_RELU LESS LESS_EQUAL LOG
LOGICAL_AND LOGISTIC LSTM MAXIMUM MAX_POOL_2D MEAN MINIMUM MIRROR_PAD MUL NEG NOT_EQUAL ONE_HOT
PACK PAD PADV2 POW PRELU QUANTIZE REDUCE_MAX REDUCE_MIN REDUCE_PROD RELU RELU6 RELU_0_TO_1
RELU_N1_TO_1 RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR RSQRT SELECT SELECT_V2 SIGN SIN
SLICE SOFTMAX SPACE_TO_DEPTH SPLIT SPLIT_V SQRT SQUARE SQUARED_DIFFERENCE STRIDED_SLICE SUB SUM
TANH TILE TRANSPOSE TRANSPOSE_CONV UNPACK
"""
_OPERATORS = frozenset(_NAMES.split())
# Only of what is computed, not of constants. A few operators take bool or int32 beside these.
_TYPES = frozenset({"float32", "float16", "int8", "uint8"})
_MORE_TYPES = {
    "CAST": {"bool", "int32"},
    "EQUAL": {"bool"},
    "GATHER": {"int32"},
    "GREATER": {"bool"},
    "GREATER_EQUAL": {"bool"},
    "LESS": {"bool"},
    "LESS_EQUAL": {"bool"},
    "LOGICAL_AND": {"bool"},
    "NOT_EQUAL": {"bool"},
    "ONE_HOT": {"int32"},
    "SELECT": {"bool"},
    "SELECT_V2": {"bool"},
}
_MOST_AXES = 4
_SLICED_AXES = (3, 4)


@dataclass(frozen=True)
class Refused:
    """Operators of one kind that stay on the processor for one reason."""

    operator: str
    count: int
    reason: str


def refused(path: Path) -> list[Refused]:
    """Return what the GPU delegate does not take of the ``.tflite`` file at `path`."""
    operators, reasons = _judged(path)
    found = Counter(
        (operator["op_name"], reason)
        for operator, reason in zip(operators, reasons, strict=True)
        if reason
    )
    return [Refused(name, count, reason) for (name, reason), count in sorted(found.items())]


def placement(path: Path) -> Placement:
    """Return what the GPU delegate takes of the ``.tflite`` file at `path`, by these rules."""
    operators, reasons = _judged(path)
    counts = {True: Counter[str](), False: Counter[str]()}
    why: dict[str, list[str]] = {}
    for operator, reason in zip(operators, reasons, strict=True):
        name = operator["op_name"]
        counts[reason is None][name] += 1
        if reason and reason not in why.setdefault(name, []):
            why[name].append(reason)
    pieces = _pieces(operators, [reason is None for reason in reasons])
    # ``max_delegated_partitions`` is 1 in the delegate's defaults.
    largest = "; of several pieces it takes the largest, unless told to take more"
    return Placement(
        delegate="gpu",
        by="published rules" + (largest if pieces > 1 else ""),
        delegated_subgraphs=pieces,
        delegated=dict(counts[True]),
        undelegated=dict(counts[False]),
        reasons={name: "; ".join(reasons) for name, reasons in why.items()},
    )


def _judged(path: Path) -> tuple[list[dict[str, Any]], list[str | None]]:
    """Return the operators in the order they run, and why the delegate refuses each."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_path=str(path),
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    operators = interpreter._get_ops_details()
    tensors = {tensor["index"]: tensor for tensor in interpreter.get_tensor_details()}
    computed = {tensor["index"] for tensor in interpreter.get_input_details()}
    computed.update(index for operator in operators for index in operator["outputs"].tolist())
    return operators, [_reason(operator, tensors, computed) for operator in operators]


def _pieces(operators: list[dict[str, Any]], taken: list[bool]) -> int:
    """Count the pieces that LiteRT's partitioning (``tflite/graph_info.cc``) makes of them.

    Each piece holds all operators of its side that can run by then. A damaged file may be in no
    order: the first one left runs in any case.
    """
    missing = {index for operator in operators for index in operator["outputs"].tolist()}
    left, pieces = list(range(len(operators))), 0
    while left:
        side, later = taken[left[0]], []
        for each in left:
            ready = each == left[0] or missing.isdisjoint(operators[each]["inputs"].tolist())
            if ready and taken[each] is side:
                missing.difference_update(operators[each]["outputs"].tolist())
            else:
                later.append(each)
        left, pieces = later, pieces + side
    return pieces


def _reason(
    operator: Mapping[str, Any], tensors: Mapping[int, Mapping[str, Any]], computed: set[int]
) -> str | None:
    """Return why the delegate refuses `operator`, None if it does not."""
    name = operator["op_name"]
    if name not in _OPERATORS:
        return "the GPU delegate has no such operator"
    indices = [*operator["inputs"].tolist(), *operator["outputs"].tolist()]
    used = {index: tensors[index] for index in indices if index in tensors}
    most = max((len(tensor["shape"]) for tensor in used.values()), default=0)
    if most > _MOST_AXES:
        return f"a tensor of it has {most} axes; the delegate takes {_MOST_AXES}"
    types = {np.dtype(tensor["dtype"]).name for index, tensor in used.items() if index in computed}
    if strange := sorted(types - _TYPES - _MORE_TYPES.get(name, set())):
        return f"it computes with {', '.join(strange)}"
    axes = len(tensors[operator["inputs"][0]]["shape"])
    if name in ("SLICE", "STRIDED_SLICE") and axes not in _SLICED_AXES:
        return f"its input has {axes} axes; the delegate slices 3 or 4"
    return None
