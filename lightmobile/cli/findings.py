"""Findings on the terminal: tables, what follows from them, and what the papers said."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import click

from lightmobile.cli.output import Column, figure, print_csv, print_table, printable

if TYPE_CHECKING:
    from lightmobile.device_bench.findings import Column as TableColumn
    from lightmobile.device_bench.findings import Findings, Row, Table

__all__ = ["print_findings"]


def print_findings(findings: Findings, csv_: bool) -> None:
    """Print all tables and sentences of `findings`, or as CSV its tables one below the other."""
    if csv_:
        for table in findings.tables:
            _print_rows(table)
        return
    for table in findings.tables:
        _print_table(table)
    for claim in findings.claims:
        click.echo(f"{claim.verdict.upper()}: {printable(claim.here)}")
        click.echo(f"  The paper: {printable(claim.paper)}")
    for sentence in findings.summary:
        click.echo(printable(sentence))
    for note in findings.notes:
        click.echo(click.style(printable(note), dim=True))


def _print_table(table: Table) -> None:
    columns = []
    everywhere = []
    for column in table.columns:
        found = {_cell(column, row) for row in table.rows}
        if len(found) == 1 and len(table.rows) > 1:
            # What all rows share is said once: terminals are narrow.
            (word,) = found
            everywhere += [] if word == "-" else [f"{column.title} {word}"]
        else:
            side: Literal["left", "right"] = "right" if _is_figure(table, column) else "left"
            columns.append(Column(column.title, partial(_cell, column), side))
    title = f"{table.title} ({', '.join(everywhere)})" if everywhere else table.title
    print_table(columns, table.rows, title=title)


def _cell(column: TableColumn, row: Row) -> str:
    value: Any = row.cells.get(column.key)
    if not isinstance(value, float):
        return "-" if value is None else str(value)
    text = figure(value, column.digits)
    low, high = (row.cells.get(key) for key in (column.low, column.high))
    if isinstance(low, float) and isinstance(high, float):
        text += f" [{figure(low, column.digits)}, {figure(high, column.digits)}]"
    return text


def _is_figure(table: Table, column: TableColumn) -> bool:
    return any(isinstance(row.cells.get(column.key), int | float) for row in table.rows)


def _print_rows(table: Table) -> None:
    keys = [key for column in table.columns for key in (column.key, column.low, column.high) if key]
    print_csv(
        ["table", *keys, "results"],
        (
            [
                table.title,
                *(row.cells.get(key) for key in keys),
                " ".join(row.results),
            ]
            for row in table.rows
        ),
    )
