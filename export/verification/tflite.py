"""The constants of a TFLite model, after ``schema.fbs`` of LiteRT 2.3 (schema version 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lightmobile.export.verification.flatbuffer import Table, cut, map_file, shaped

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["constants"]

_DTYPES = {0: "<f4", 1: "<f2", 10: "<f8"}  # TensorType


def constants(path: Path) -> dict[str, NDArray[Any]]:
    """Return the floating-point constants of a ``.tflite`` file, by their tensors' names.

    Raises
    ------
    ValueError
        The file is damaged, or holds constants in a form that cannot be compared.
    """
    data = map_file(path)
    model = Table.root(data, b"TFL3")
    buffers = [_content(data, buffer) for buffer in model.tables(4)]
    found = {}
    for graph, subgraph in enumerate(model.tables(2)):
        for index, tensor in enumerate(subgraph.tables(0)):
            content = buffers[tensor.integer(2, "I")]
            dtype = _DTYPES.get(tensor.integer(1, "b"))
            if tensor.integer(10, "I") or tensor.table(6):
                raise ValueError("it keeps constants sparse or in another file")
            if content and dtype:
                name = f"tensor {graph}.{index} {tensor.text(3)[:80]}"
                found[name] = shaped(content, dtype, tensor.numbers(0, "<i4"))
    return found


def _content(data: memoryview, buffer: Table) -> memoryview:
    # Models above 2 GB keep their buffers after the flatbuffer; offsets 0 and 1 mean inside it.
    offset = buffer.integer(1, "Q")
    return cut(data, offset, buffer.integer(2, "Q")) if offset > 1 else buffer.data(0)
