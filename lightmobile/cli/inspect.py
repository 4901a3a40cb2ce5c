"""``lightmobile inspect``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lightmobile.cli.output import Column, as_json, print_json, print_table, printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lightmobile.export.inspection.contents import Memory, Value
    from lightmobile.export.inspection.inspect import Inspection
    from lightmobile.export.manifest import Placement


@click.command()
@click.argument("artifact", type=click.Path(path_type=Path))
@as_json
def inspect(artifact: Path, json_: bool) -> None:
    """Tell what is in ARTIFACT: signature, operators, weights by type, memory.

    A .pte, .tflite or .mlpackage, also of another exporter. It is parsed in a limited process of
    its own, and never run.
    """
    from lightmobile.export import inspect as inspect_artifact

    inspection = inspect_artifact(artifact)
    if json_:
        print_json(inspection.to_dict())
        return
    _print_facts(inspection)
    _print_values(inspection)
    _print_operators(inspection.placements)
    _print_weights(inspection)
    pictures = "\n          ".join(printable(command) for command in inspection.pictures)
    click.echo(f"Pictures: {pictures or 'nothing known draws it'}")


def _print_facts(inspection: Inspection) -> None:
    hashes = {
        True: "as in the manifest",
        False: "NOT as in the manifest, which is left aside",
        None: "no manifest",
    }
    made_for = (inspection.target, inspection.backend, inspection.precision)
    print_table(
        [Column("property", lambda row: row[0]), Column("value", lambda row: row[1])],
        [
            ("model", inspection.model or "-"),
            ("made for", ", ".join(dict.fromkeys(word for word in made_for if word))),
            ("size", f"{inspection.bytes:,} bytes"),
            ("SHA-256", f"{inspection.sha256} ({hashes[inspection.hash_ok]})"),
            ("memory", _memory(inspection.memory)),
            *(("runs on", _summary(placement)) for placement in inspection.placements),
        ],
        title=inspection.path.name,
    )


def _memory(memory: Memory) -> str:
    parts = []
    if memory.planned_bytes:
        sizes = " + ".join(f"{size:,}" for size in memory.planned_bytes)
        parts.append(f"{sizes} bytes planned")
    if memory.live_bytes is not None:
        parts.append(f"{memory.live_bytes:,} bytes of activations at one time")
    return "; ".join([*parts, *filter(None, [memory.note])]) or "-"


def _summary(placement: Placement) -> str:
    taken, left = sum(placement.delegated.values()), sum(placement.undelegated.values())
    by = f" ({placement.by})" if placement.by else ""
    if not placement.delegate:
        return f"the runtime's own kernels, {left} operators{by}"
    pieces = placement.delegated_subgraphs
    where = f"in {pieces} piece{'s' if pieces != 1 else ''}"
    if not taken and pieces:
        return f"{placement.delegate}: {where} that its vendor alone can read; {left} left out{by}"
    return f"{placement.delegate}: {taken} of {taken + left} operators, {where}{by}"


def _print_values(inspection: Inspection) -> None:
    rows = [("input", value) for value in inspection.inputs]
    rows += [("output", value) for value in inspection.outputs]
    integers = any(value.scale is not None for _, value in rows)
    print_table(
        [
            Column("", lambda row: row[0]),
            Column("name", lambda row: row[1].name),
            Column("shape", lambda row: "x".join(map(str, row[1].shape)) or "-"),
            Column("type", lambda row: row[1].dtype),
            Column("layout", lambda row: row[1].layout or "-"),
            *([Column("stands for", lambda row: _grid(row[1]))] if integers else []),
        ],
        rows,
        title="Inputs and outputs",
    )


def _grid(value: Value) -> str:
    if value.scale is None:
        return "itself"
    return f"{value.scale:.6g} * (x - {value.zero_point})"


def _print_operators(placements: Sequence[Placement]) -> None:
    """Print a row for each operator, and a column for each delegate."""
    counts: dict[str, int] = {}
    for placement in placements:
        for name in [*placement.delegated, *placement.undelegated]:
            here = placement.delegated.get(name, 0) + placement.undelegated.get(name, 0)
            counts[name] = max(counts.get(name, 0), here)
    delegates = [placement for placement in placements if placement.delegate]
    columns = [
        Column("operator", lambda name: name),
        Column("count", lambda name: str(counts[name]), "right"),
        *(_taken_by(delegate) for delegate in delegates),
    ]
    if any(delegate.reasons for delegate in delegates):
        columns.append(Column("why not all", lambda name: _reasons(name, delegates)))
    names = sorted(counts, key=lambda name: (-counts[name], name))
    print_table(columns, names, title="Operators")


def _taken_by(delegate: Placement) -> Column:
    return Column(delegate.delegate, lambda name: str(delegate.delegated.get(name, 0)), "right")


def _reasons(name: str, delegates: Sequence[Placement]) -> str:
    return "; ".join(f"{d.delegate}: {d.reasons[name]}" for d in delegates if name in d.reasons)


def _print_weights(inspection: Inspection) -> None:
    print_table(
        [
            Column("weights", lambda w: w.format),
            Column("tensors", lambda w: f"{w.tensors:,}", "right"),
            Column("elements", lambda w: f"{w.elements:,}", "right"),
            Column("bytes", lambda w: f"{w.bytes:,}", "right"),
        ],
        inspection.weights,
        title="Weights by type",
    )
