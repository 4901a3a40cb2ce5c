"""What is in a ``.tflite``; slots are those of ``schema.fbs`` of LiteRT 2.3."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from lightmobile.export.inspection.contents import (
    BY_THE_FILE,
    Contents,
    Memory,
    Value,
    weights_by_format,
)
from lightmobile.export.manifest import Placement
from lightmobile.export.verification.flatbuffer import map_file
from lightmobile.export.verification.stored import Stored, bits_of
from lightmobile.export.verification.tflite import Model

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lightmobile.export.verification.flatbuffer import Table

__all__ = ["each_operator", "read"]

_CUSTOM = "CUSTOM"
_ABSENT = -1  # an input that is left out
_BLOCKS = 2  # QuantizationDetails


def read(path: Path) -> Contents:
    """Return what is in the model at `path`.

    Raises
    ------
    ValueError, IndexError
        It is damaged.
    """
    model = Model(map_file(path))
    graphs = model.root.tables(2)
    main = graphs[0]
    return Contents(
        backend="tflite",
        inputs=tuple(_signature(model, main, 1, 0)),
        outputs=tuple(_signature(model, main, 2, 1)),
        placements=(
            Placement(
                by=f"{BY_THE_FILE}; LiteRT chooses delegates when it loads it",
                delegated_subgraphs=0,
                delegated={},
                undelegated=dict(Counter(n for graph in graphs for n in _operators(model, graph))),
            ),
        ),
        weights=weights_by_format(_weights(model)),
        memory=Memory(note="LiteRT allocates when it loads", live_bytes=_live_bytes(model, main)),
    )


def each_operator(model: Model, graph: Table) -> Iterator[tuple[str, int, int]]:
    """Yield each operator's name, and the bytes of its inputs and outputs; shapes do not count."""
    tensors = graph.tables(0)

    def size(indices: list[int]) -> int:
        return sum(_bytes(model, _at(tensors, index)) for index in {*indices} - {_ABSENT})

    for name, operator in zip(_operators(model, graph), graph.tables(3), strict=True):
        yield name, size(operator.numbers(1, "<i4")), size(operator.numbers(2, "<i4"))


def _bytes(model: Model, tensor: Table) -> int:
    dtype = _dtype(tensor)
    if "float" not in dtype and model.content(tensor) and not _grid(tensor)[0]:
        return 0  # a shape, or axes
    return Stored.of("", bits_of(dtype), tensor.numbers(0, "<i4"), None).bytes


def _operators(model: Model, graph: Table) -> Iterator[str]:
    """Yield the name of each operator of a graph, by LiteRT's names."""
    from ai_edge_litert.schema_py_generated import BuiltinOperator

    names = {number: name for name, number in vars(BuiltinOperator).items() if name.isupper()}
    codes = model.root.tables(1)
    for operator in graph.tables(3):
        code = codes[operator.integer(0, "I")]
        # The first field has no numbers above 127; older files have it alone.
        number = max(code.integer(0, "b"), code.integer(3, "i"))
        name = names.get(number, f"operator {number}")
        yield code.text(1) if name == _CUSTOM else name


def _signature(model: Model, graph: Table, slot: int, side: int) -> Iterator[Value]:
    """Yield the inputs or outputs, by the names of the signature where there is one."""
    tensors = graph.tables(0)
    names = {
        entry.integer(1, "I"): entry.text(0)
        for signature in model.root.tables(7)
        if signature.integer(4, "I") == 0
        for entry in signature.tables(side)
    }
    for index in graph.numbers(slot, "<i4"):
        tensor = _at(tensors, index)
        scale, zero_point = _grid(tensor)
        one = len(scale) == 1
        yield Value(
            name=names.get(index) or tensor.text(3),
            shape=tuple(tensor.numbers(7, "<i4") or tensor.numbers(0, "<i4")),
            dtype=_dtype(tensor),
            scale=scale[0] if one else None,
            zero_point=(zero_point or [0])[0] if one else None,
        )


def _weights(model: Model) -> Iterator[Stored]:
    """Yield how constants are kept; integers without a scale are shapes and axes."""
    seen = set()
    for tensor in (tensor for graph in model.root.tables(2) for tensor in graph.tables(0)):
        dtype, content, place = _dtype(tensor), model.content(tensor), tensor.integer(2, "I")
        scale, _ = _grid(tensor)
        blocks = _in_blocks(tensor)
        if place in seen or not content or not ("float" in dtype or scale or blocks):
            continue
        seen.add(place)
        grid = " per block" if blocks else _grid_name(len(scale))
        held = None if tensor.table(6) else len(content)  # of a sparse one it is less
        yield Stored.of(dtype + grid, bits_of(dtype), tensor.numbers(0, "<i4"), held)


def _grid_name(scales: int) -> str:
    return " per channel" if scales > 1 else " per tensor" if scales else ""


def _live_bytes(model: Model, graph: Table) -> int:
    """Return the bytes of the largest set of activations that are needed at one time.

    LiteRT may use a little less, where an operator writes over its input, or much more, for what
    its delegates prepare.
    """
    tensors = graph.tables(0)
    operators = [(op.numbers(1, "<i4"), op.numbers(2, "<i4")) for op in graph.tables(3)]
    last = len(operators)
    first_used = dict.fromkeys(graph.numbers(1, "<i4"), 0)
    last_used: dict[int, int] = {}
    for place, (inputs, outputs) in enumerate(operators):
        for index in outputs:
            first_used.setdefault(index, place)
        last_used |= dict.fromkeys([*inputs, *outputs], place)
    last_used |= dict.fromkeys(graph.numbers(2, "<i4"), last)
    change = Counter[int]()
    for index, first in first_used.items():
        size = _activation_bytes(model, _at(tensors, index))
        change[first] += size
        change[last_used.get(index, first) + 1] -= size
    most = now = 0
    for place in sorted(change):
        now += change[place]
        most = max(most, now)
    return most


def _activation_bytes(model: Model, tensor: Table) -> int:
    if model.content(tensor):
        return 0
    return Stored.of("", bits_of(_dtype(tensor)), tensor.numbers(0, "<i4"), None).bytes


def _grid(tensor: Table) -> tuple[list[float], list[int]]:
    grid = tensor.table(4)
    if grid is None:
        return [], []
    return [float(scale) for scale in grid.numbers(2, "<f4")], grid.numbers(3, "<i8")


def _in_blocks(tensor: Table) -> bool:
    grid = tensor.table(4)
    return grid is not None and grid.integer(4, "B") == _BLOCKS


def _dtype(tensor: Table) -> str:
    from ai_edge_litert.schema_py_generated import TensorType

    number = tensor.integer(1, "b")
    names = {value: name.lower() for name, value in vars(TensorType).items() if name.isupper()}
    if number not in names:
        raise ValueError(f"LiteRT's tensor type {number} is not known")
    return str(names[number])


def _at(tensors: list[Table], index: int) -> Table:
    if not 0 <= index < len(tensors):
        raise ValueError(f"it has no tensor {index}")
    return tensors[index]
