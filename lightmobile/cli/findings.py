"""Findings on the terminal: tables, what follows from them, and what the papers said."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

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
        columns = [
            Column(
                column.title,
                partial(_cell, column),
                "right" if _is_figure(table, column) else "left",
            )
            for column in table.columns
            if any(row.cells.get(column.key) is not None for row in table.rows)
        ]
        print_table(columns, table.rows, title=table.title)
    for claim in findings.claims:
        click.echo(f"{claim.verdict.upper()}: {printable(claim.here)}")
        click.echo(f"  The paper: {printable(claim.paper)}")
    for sentence in findings.summary:
        click.echo(printable(sentence))
    for note in findings.notes:
        click.echo(click.style(printable(note), dim=True))


def _cell(column: TableColumn, row: Row) -> str:
    value: Any = row.cells.get(column.key)
    if isinstance(value, float):
        return figure(value, column.digits)
    return "-" if value is None else str(value)


def _is_figure(table: Table, column: TableColumn) -> bool:
    return any(isinstance(row.cells.get(column.key), int | float) for row in table.rows)


def _print_rows(table: Table) -> None:
    print_csv(
        ["table", *(column.key for column in table.columns), "results"],
        (
            [
                table.title,
                *(row.cells.get(column.key) for column in table.columns),
                " ".join(row.results),
            ]
            for row in table.rows
        ),
    )
