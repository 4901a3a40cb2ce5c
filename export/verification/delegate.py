"""An ExecuTorch program that hands all of its work to one delegate.

Such a program is what its delegate's payload says, and the payload can be computed by other means
than the delegate itself. Slots are those of ``exir/_serialize/program.fbs`` of ExecuTorch 1.5.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lightmobile.errors import VerificationError
from lightmobile.export.verification.flatbuffer import map_file
from lightmobile.export.verification.pte import Program

if TYPE_CHECKING:
    from pathlib import Path

    from lightmobile.export.verification.flatbuffer import Table

__all__ = ["Delegate", "only_delegate"]

_DELEGATE_CALL = 2  # InstructionArguments
_TENSOR = 5  # KernelTypes
_FLOAT = 6  # ScalarType


@dataclass(frozen=True)
class Delegate:
    """What does all the work of a program.

    Attributes
    ----------
    payload
        What the exporter left for it.
    named
        What the program keeps beside the payload, by the keys in it.
    input_shape
        Of the only input, float32.
    outputs
        Which of the delegate's outputs are the program's, in its order.
    output_shapes
        Of the delegate's outputs, float32, in the delegate's order.
    """

    payload: memoryview
    named: dict[str, memoryview]
    input_shape: tuple[int, ...]
    outputs: tuple[int, ...]
    output_shapes: tuple[tuple[int, ...], ...]


def only_delegate(path: Path, backend: str) -> Delegate:
    """Return what `backend` is left to do in the ``.pte`` file `path`, which has to be all of it.

    Raises
    ------
    VerificationError
        Operators, or other delegates, have a part in it too; the message names them.
    ValueError
        The file is damaged.
    """
    program = Program(map_file(path))
    plans = program.root.tables(1)
    if [plan.text(0) for plan in plans] != ["forward"]:
        raise ValueError(f"it has {len(plans)} methods, not 'forward' alone")
    delegate, arguments = _only_call(path, plans[0], backend)
    values = plans[0].tables(2)
    inputs, outputs = plans[0].numbers(3, "<i4"), plans[0].numbers(4, "<i4")
    if len(inputs) != 1 or arguments[:1] != inputs or not set(outputs) <= set(arguments[1:]):
        raise ValueError("its input and outputs are not those of its delegate")
    return Delegate(
        program.delegate(delegate),
        program.named,
        input_shape=_shape(values, inputs[0]),
        outputs=tuple(arguments[1:].index(output) for output in outputs),
        output_shapes=tuple(_shape(values, index) for index in arguments[1:]),
    )


def _only_call(path: Path, plan: Table, backend: str) -> tuple[Table, list[int]]:
    """Return the delegate of the plan's only instruction, and its values: inputs, then outputs."""
    operators = sorted({operator.text(0) for operator in plan.tables(6)})
    others = sorted({delegate.text(0) for delegate in plan.tables(7)} - {backend})
    instructions = [step for chain in plan.tables(5) for step in chain.tables(2)]
    delegates = plan.tables(7)
    if operators or others or len(delegates) != 1 or len(instructions) != 1:
        shared = ", ".join([*operators, *others]) or f"{len(delegates)} pieces of {backend}"
        raise VerificationError(
            f"{path.name} is not all in one piece of {backend}",
            why=f"The work is shared with {shared[:500]}: it can be verified only as a whole",
        )
    call = instructions[0].table(1) if instructions[0].integer(0, "B") == _DELEGATE_CALL else None
    if call is None or call.integer(0, "i") != 0:
        raise ValueError("its only instruction does not call its delegate")
    return delegates[0], call.numbers(1, "<i4")


def _shape(values: list[Table], index: int) -> tuple[int, ...]:
    if not 0 <= index < len(values):
        raise ValueError(f"it has no value {index}")
    tensor = values[index].table(1) if values[index].integer(0, "B") == _TENSOR else None
    if tensor is None or tensor.integer(0, "b") != _FLOAT:
        raise ValueError("its input and outputs are not float32")
    sizes = tensor.numbers(2, "<i4")
    if tensor.numbers(3, "u1") != list(range(len(sizes))):
        raise ValueError("the axes of its input and outputs are in another order")
    return tuple(sizes)
