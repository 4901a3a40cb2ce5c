"""``lightmobile study``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lightmobile.cli.output import (
    Column,
    as_csv,
    as_json,
    figure,
    print_csv,
    print_json,
    print_table,
    printable,
    say,
)
from lightmobile.cli.progress import progress

if TYPE_CHECKING:
    from lightmobile.device_bench.findings import Cell, Findings, Table
    from lightmobile.device_bench.findings import Column as FindingsColumn

__all__ = ["print_findings", "study"]

FIELDS = ("study", "device", "emulated", "quick", "table", "row", "column", "value", "results")


@click.command()
@click.argument("name", required=False)
@click.option(
    "--device",
    default="host",
    show_default=True,
    help="host, android[:SERIAL], or a device that an installed package adds.",
)
@click.option("--runtime", "runtimes", help="executorch,tflite,coreml. Default: what there is.")
@click.option("--threads", type=int, default=1, show_default=True, help="Threads of the runtime.")
@click.option(
    "--quick", is_flag=True, help="Tiny networks, one runtime: whether it works, not what is true."
)
@click.option("--rounds", type=click.IntRange(min=1), help="Rounds; default: by time.")
@click.option(
    "--time-budget",
    type=click.FloatRange(min=1),
    help="Seconds of measuring. Default: by the number of networks.",
)
@click.option("--store", type=click.Path(path_type=Path), help="File of results to append to.")
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path),
    help="Trained weights, for kernel-importance and conv-approximation.",
)
@click.option(
    "--model", default="resnet50", show_default=True, help="Whose weights, for conv-approximation."
)
@click.option(
    "--images",
    type=click.Path(path_type=Path),
    help="Folder of photographs, for conv-approximation.",
)
@as_json
@as_csv
def study(
    name: str | None,
    device: str,
    runtimes: str | None,
    threads: int,
    quick: bool,
    rounds: int | None,
    time_budget: float | None,
    store: Path | None,
    checkpoint: Path | None,
    model: str,
    images: Path | None,
    json_: bool,
    csv_: bool,
) -> None:
    """Put a paper's claims to this device: measure what NAME needs, and say what follows.

    Without NAME: the list. A claim holds, does not hold, or is undecided, where its interval leaves
    both open. Nothing is said of other devices.
    """
    if name is None:
        _print_list(json_, csv_)
        return
    from lightmobile.device_bench.studies.run import run_study

    with progress() as report:
        found = run_study(
            name,
            device=device,
            quick=quick,
            runtimes=tuple(runtimes.split(",")) if runtimes else None,
            threads=threads,
            rounds=rounds,
            time_budget=time_budget,
            store=store,
            checkpoint=checkpoint,
            model=model,
            images=images,
            progress=report,
        )
    if json_:
        print_json(found.to_dict())
    elif csv_:
        print_csv(FIELDS, _cells(found))
    else:
        print_findings(found)


def _print_list(json_: bool, csv_: bool) -> None:
    from lightmobile.device_bench.studies.registry import list_studies

    rows = [
        {"name": each.name, "question": each.question, "paper": each.paper}
        for each in list_studies()
    ]
    if json_:
        print_json({"studies": rows})
    elif csv_:
        print_csv(tuple(rows[0]), (list(row.values()) for row in rows))
    else:
        print_table(
            [
                Column("study", lambda row: row["name"]),
                Column("question", lambda row: row["question"]),
            ],
            rows,
            title="Studies (`lightmobile study NAME`)",
        )


def print_findings(found: Findings) -> None:
    """Print what was found: the tables, the claims with their verdicts, and what to know."""
    marks = " (EMULATED)" * found.emulated + " (QUICK SIZE)" * found.quick
    where = f" on {found.device}" if found.device else ""
    click.echo(_plain(f"{found.study}{where}{marks}: {found.question}\n"))
    for table in found.tables:
        _print_table(table)
    for sentence in found.summary:
        click.echo(_plain(sentence))
    for claim in found.claims:
        click.echo(_plain(f"\n{claim.verdict.upper()} here: {claim.paper}"))
        click.echo(_plain(f"  {claim.here}"))
    for note in found.notes:
        say(f"note: {note}")


def _print_table(table: Table) -> None:
    shown = [
        column
        for column in table.columns
        if any(row.cells.get(column.key) is not None for row in table.rows)
    ]
    if shown:
        print_table([_column(column, table) for column in shown], table.rows, title=table.title)


def _column(column: FindingsColumn, table: Table) -> Column:
    def write(row: Any) -> str:
        return _written(row.cells.get(column.key), column.digits)

    numbers = any(isinstance(row.cells.get(column.key), int | float) for row in table.rows)
    return Column(column.title, write, "right" if numbers else "left")


def _written(cell: Cell, digits: int) -> str:
    if cell is None or isinstance(cell, float):
        return figure(cell, digits)
    return str(cell)


def _cells(found: Findings) -> list[list[Any]]:
    """Return every cell as a row of its own: tables differ in their columns."""
    return [
        [
            found.study,
            found.device,
            found.emulated,
            found.quick,
            table.title,
            number,
            column.title,
            row.cells[column.key],
            " ".join(row.results),
        ]
        for table in found.tables
        for number, row in enumerate(table.rows)
        for column in table.columns
        if row.cells.get(column.key) is not None
    ]


def _plain(text: str) -> str:
    return "\n".join(printable(line) for line in text.split("\n"))
