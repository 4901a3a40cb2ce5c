"""What an ExecuTorch program leaves to its Vulkan delegate, as far as it is read without PyTorch.

Written after ``backends/vulkan/serialization/schema.fbs`` of ExecuTorch 1.5.1; the numbers below
are slots of its tables.
"""

from __future__ import annotations

import struct
from collections import Counter
from typing import TYPE_CHECKING

from lightmobile.export.verification.flatbuffer import Table, cut
from lightmobile.export.verification.stored import Stored, bits_of

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["data_at", "open_graph", "operators", "stored"]

_NAMED = 2**64 - 1  # the offset of a constant that is found by its key
_TENSOR = 5  # GraphTypes
_FLOATS = {4: "float16", 5: "float32", 6: "float64"}  # VkDataType


def open_graph(payload: memoryview) -> Table:
    """Return the graph in a delegate's payload.

    Raises
    ------
    ValueError
        There is none.
    """
    if bytes(payload[4:8]) != b"VH00":
        raise ValueError("a Vulkan graph does not begin as one does")
    start, size = struct.unpack("<II", cut(payload, 10, 8))
    return Table.root(cut(payload, start, size), b"VK00")


def data_at(place: Table, named: Mapping[str, memoryview]) -> memoryview:
    """Return the bytes of a constant, of what the program keeps by key."""
    key = place.text(2)
    if place.integer(0, "Q") != _NAMED or key not in named:
        raise ValueError(f"a constant named {key[:80]!r} is not in it")
    return cut(named[key], 0, place.integer(1, "Q"))


def operators(payload: memoryview) -> Counter[str]:
    """Count the operators of a graph, whether they can be computed here or not."""
    return Counter(call.text(1) for call in open_graph(payload).tables(1))


def stored(payload: memoryview, named: Mapping[str, memoryview]) -> list[Stored]:
    """Return how a graph keeps its floating-point constants.

    Parameters
    ----------
    payload
        What the exporter left for the delegate.
    named
        What the program keeps beside it, by key: the constants.
    """
    graph = open_graph(payload)
    places = graph.tables(5)
    found = {}  # by place: values may share their data
    for value in graph.tables(2):
        tensor = value.table(1) if value.integer(0, "B") == _TENSOR else None
        place = tensor.integer(2, "i") if tensor else -1
        if tensor and place >= 0 and (form := _FLOATS.get(tensor.integer(0, "b"))):
            held = len(data_at(places[place], named))
            found[place] = Stored.of(form, bits_of(form), tensor.numbers(1, "<u4"), held)
    return list(found.values())
