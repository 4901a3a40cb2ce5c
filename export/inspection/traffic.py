"""The bytes that the operators in a file read and write, copies counted: the traffic as lowered.

Every operator reads each of its inputs and weights once and writes its output once, whatever its
runtime does beside; a slice reads only what it keeps. What differs from the network's ideal
traffic is what lowering added: slices, concatenations, transposes and padding that copy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lightmobile.export.inspection.pte import kernel_calls
from lightmobile.export.inspection.tflite import each_operator
from lightmobile.export.verification import xnnpack
from lightmobile.export.verification.flatbuffer import map_file
from lightmobile.export.verification.pte import Program
from lightmobile.export.verification.tflite import Model

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["lowered_bytes"]

_SLICES = {"SLICE", "STRIDED_SLICE", "aten::slice_copy.Tensor_out"}


def lowered_bytes(path: Path) -> int | None:
    """Return the traffic of one inference of a file that `export` wrote.

    None where only a vendor can read it, or where reading it is not known here (Core ML packages,
    delegates other than XNNPACK).

    Raises
    ------
    ValueError, IndexError
        The file is damaged.
    """
    if path.suffix == ".tflite":
        model = Model(map_file(path))
        main = model.root.tables(2)[0]
        return sum(_bytes(*each) for each in each_operator(model, main))
    if path.suffix != ".pte":
        return None
    program = Program(map_file(path))
    total = 0
    for plan in program.root.tables(1):
        for delegate in plan.tables(7):
            if delegate.text(0) != "XnnpackBackend":
                return None
            total += xnnpack.traffic(program.delegate(delegate))
        total += sum(_bytes(*each) for each in kernel_calls(plan))
    return total


def _bytes(name: str, inputs: int, outputs: int) -> int:
    return 2 * outputs if name in _SLICES else inputs + outputs
