"""What every command prints: a table for people, ``--json`` and ``--csv`` for programs.

Standard output holds the answer alone; progress, warnings and logs go to standard error.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import click

from lightmobile.errors import LightmobileError
from lightmobile.text import figure, megabytes, percent, plain_cell, printable

__all__ = [
    "Column",
    "as_csv",
    "as_json",
    "figure",
    "megabytes",
    "percent",
    "print_csv",
    "print_error",
    "print_json",
    "print_table",
    "printable",
    "say",
]

Command = TypeVar("Command", bound=Callable[..., Any])

as_json = click.option("--json", "json_", is_flag=True, help="One JSON document on stdout.")
as_csv = click.option("--csv", "csv_", is_flag=True, help="Comma-separated rows on stdout.")


@dataclass(frozen=True)
class Column:
    """A table's column: its title and how a row's value is written in it."""

    title: str
    write: Callable[[Any], str]
    justify: Literal["left", "right"] = "left"


def print_json(document: Any) -> None:
    """Print one JSON document; a figure that JSON has no word for (infinity) becomes null."""
    click.echo(json.dumps(_finite(document), indent=2, ensure_ascii=False))


def _finite(value: Any) -> Any:
    if isinstance(value, float) and value - value != 0:
        return None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def print_csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print `rows` below `header`; text that a spreadsheet would run is made plain."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([plain_cell(cell) for cell in row] for row in rows)


def print_table(columns: Sequence[Column], rows: Iterable[Any], title: str | None = None) -> None:
    """Print `rows` as a table as wide as the terminal, or as wide as it must be in a pipe."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for column in columns:
        table.add_column(column.title, justify=column.justify, overflow="fold")
    for row in rows:
        # Text, not markup: a hostile model or device name stays a name.
        table.add_row(*(Text(printable(column.write(row))) for column in columns))
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=max(200, console.width))
    console.print(table)


def say(text: str) -> None:
    """Print a line of progress or a warning to standard error."""
    click.echo(printable(text), err=True)


def print_error(error: LightmobileError, as_json: bool) -> None:
    """Print `error` for people, and with ``--json`` also as the documented object."""
    if as_json:
        print_json({"error": error.to_dict()})
    what, *rest = (part for part in (error.what, error.why, error.fix) if part)
    click.echo(click.style("error: ", fg="red", bold=True) + _lines(what), err=True)
    for part in rest:
        click.echo("  " + _lines(part), err=True)


def _lines(text: str) -> str:
    return "\n  ".join(printable(line) for line in text.splitlines())
