"""What is in a ``.pte``, and in its delegates where their payloads can be read.

Slots are those of ``exir/_serialize/program.fbs`` of ExecuTorch 1.5.1.
"""

from __future__ import annotations

import math
import tempfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from lightmobile.export.inspection.contents import (
    BY_THE_FILE,
    Contents,
    Memory,
    Value,
    weights_by_format,
)
from lightmobile.export.manifest import Placement
from lightmobile.export.verification import vulkan_payload, xnnpack
from lightmobile.export.verification.flatbuffer import map_file
from lightmobile.export.verification.pte import Program, dtype_of
from lightmobile.export.verification.stored import bits_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lightmobile.export.verification.flatbuffer import Table
    from lightmobile.export.verification.stored import Stored

__all__ = ["kernel_calls", "read"]

_KERNEL_CALL = 1  # InstructionArguments
_TENSOR = 5  # KernelTypes
_BACKENDS = {
    "XnnpackBackend": "xnnpack",
    "VulkanBackend": "vulkan",
    "CoreMLBackend": "coreml",
    "QnnBackend": "qnn",
}


def read(path: Path) -> Contents:
    """Return what is in the program at `path`.

    Raises
    ------
    ValueError, IndexError
        It is damaged.
    """
    program = Program(map_file(path))
    plans = program.root.tables(1)
    kernels = Counter(name for plan in plans for name in _kernels(plan))
    pieces: Counter[str] = Counter()
    operators: dict[str, Counter[str]] = defaultdict(Counter)
    weights = list(_constants(program, plans))
    for delegate in (delegate for plan in plans for delegate in plan.tables(7)):
        backend = _BACKENDS.get(delegate.text(0), delegate.text(0))
        inside, tensors = _payload(backend, program, delegate)
        pieces[backend] += 1
        operators[backend] += inside
        weights += tensors
    return Contents(
        backend=", ".join(pieces) or "portable",
        inputs=tuple(_signature(plans, 3, "input")),
        outputs=tuple(_signature(plans, 4, "output")),
        placements=_placements(pieces, operators, kernels),
        weights=weights_by_format(weights),
        memory=Memory(
            note="what its delegates need, they allocate when they load" if pieces else "",
            # The first of each plan is reserved.
            planned_bytes=tuple(size for plan in plans for size in plan.numbers(8, "<i8")[1:]),
        ),
    )


def kernel_calls(plan: Table) -> Iterator[tuple[str, int, int]]:
    """Yield the kernels that a method calls itself, and the bytes of their inputs and outputs.

    The last tensor among a kernel's arguments is what it writes.
    """
    values = plan.tables(2)
    calls = [
        call
        for chain in plan.tables(5)
        for step in chain.tables(2)
        if step.integer(0, "B") == _KERNEL_CALL and (call := step.table(1))
    ]
    for name, call in zip(_kernels(plan), calls, strict=True):
        tensors = [index for index in call.numbers(1, "<i4") if _tensor_at(values, index)]
        *read, written = dict.fromkeys(tensors)
        yield name, sum(_bytes(values, index) for index in read), _bytes(values, written)


def _tensor_at(values: list[Table], index: int) -> Table | None:
    if not 0 <= index < len(values):
        raise ValueError(f"it has no value {index}")
    value = values[index]
    return value.table(1) if value.integer(0, "B") == _TENSOR else None


def _bytes(values: list[Table], index: int) -> int:
    tensor = _tensor_at(values, index)
    if tensor is None:
        return 0
    return math.prod(tensor.numbers(2, "<i4")) * bits_of(dtype_of(tensor)) // 8


def _kernels(plan: Table) -> Iterator[str]:
    """Yield the name of each kernel that a method calls itself."""
    operators = plan.tables(6)
    names = [".".join(filter(None, (op.text(0), op.text(1)))) for op in operators]
    for step in (step for chain in plan.tables(5) for step in chain.tables(2)):
        call = step.table(1) if step.integer(0, "B") == _KERNEL_CALL else None
        if call:
            index = call.integer(0, "i")
            if not 0 <= index < len(names):
                raise ValueError(f"it calls operator {index} of {len(names)}")
            yield names[index]


def _constants(program: Program, plans: Sequence[Table]) -> Iterator[Stored]:
    for value in (value for plan in plans for value in plan.tables(2)):
        tensor = value.table(1) if value.integer(0, "B") == _TENSOR else None
        stored = program.stored(tensor) if tensor else None
        if stored:
            yield stored


def _signature(plans: Sequence[Table], slot: int, kind: str) -> Iterator[Value]:
    """Yield the inputs or outputs; programs name none, so they are numbered."""
    for plan in plans:
        values = plan.tables(2)
        method = f"{plan.text(0)}." if len(plans) > 1 else ""
        for place, index in enumerate(plan.numbers(slot, "<i4")):
            if not 0 <= index < len(values):
                raise ValueError(f"it has no value {index}")
            value = values[index]
            tensor = value.table(1) if value.integer(0, "B") == _TENSOR else None
            yield Value(
                name=f"{method}{kind}_{place}",
                shape=tuple(tensor.numbers(2, "<i4")) if tensor else (),
                dtype=dtype_of(tensor) if tensor else "no tensor",
            )


def _payload(
    backend: str, program: Program, delegate: Table
) -> tuple[Counter[str], Sequence[Stored]]:
    """Return the operators and weights of a delegate; none where only its vendor can tell."""
    if backend == "xnnpack":
        payload = program.delegate(delegate)
        return xnnpack.operators(payload), xnnpack.stored(payload, program.named)
    if backend == "vulkan":
        payload = program.delegate(delegate)
        return vulkan_payload.operators(payload), vulkan_payload.stored(payload, program.named)
    if backend == "coreml":
        return _core_ml(program.delegate(delegate))
    return Counter(), []


def _core_ml(payload: memoryview) -> tuple[Counter[str], Sequence[Stored]]:
    from lightmobile.export.inspection import mlpackage
    from lightmobile.export.verification.flattened import unflatten

    with tempfile.TemporaryDirectory(prefix="lightmobile-") as temporary:
        folder = Path(temporary) / "model"
        unflatten(payload, folder)
        package = folder / "model.mlpackage"
        if not package.is_dir():  # A compiled model, which Apple alone can read.
            return Counter(), []
        return mlpackage.operators_and_weights(package)


def _placements(
    pieces: Counter[str], operators: dict[str, Counter[str]], kernels: Counter[str]
) -> tuple[Placement, ...]:
    return tuple(
        Placement(
            delegate=backend,
            by=BY_THE_FILE,
            delegated_subgraphs=pieces[backend],
            delegated=dict(operators[backend]),
            undelegated=dict(kernels),
        )
        for backend in pieces or [""]
    )
