"""``lightmobile models`` and ``lightmobile info``."""

from __future__ import annotations

from typing import Any

import click

from lightmobile.cli.output import (
    Column,
    as_csv,
    as_json,
    figure,
    print_csv,
    print_json,
    print_table,
)

FIELDS = ("name", "family", "height", "width", "params", "macs", "top1")


@click.command()
@click.argument("pattern", default="*")
@as_json
@as_csv
def models(pattern: str, json_: bool, csv_: bool) -> None:
    """List the models whose names match PATTERN (shell wildcards), with published figures."""
    from lightmobile.models import list_models, model_info

    rows = [_row(model_info(name)) for name in list_models(pattern)]
    if json_:
        print_json({"models": rows})
    elif csv_:
        print_csv(FIELDS, ([row[field] for field in FIELDS] for row in rows))
    else:
        print_table(
            [
                Column("model", lambda row: row["name"]),
                Column("family", lambda row: row["family"]),
                Column("input", lambda row: f"{row['height']}x{row['width']}"),
                Column("params", lambda row: _millions(row["params"]), "right"),
                Column("MACs", lambda row: _millions(row["macs"]), "right"),
                Column("top-1 %", lambda row: figure(row["top1"]), "right"),
            ],
            rows,
            title="Models (published figures; `lightmobile info MODEL` counts them)",
        )


def _row(facts: Any) -> dict[str, Any]:
    published = facts.published
    height, width = facts.input_size
    return {
        "name": facts.name,
        "family": facts.family,
        "height": height,
        "width": width,
        **{figure: published.get(figure) for figure in ("params", "macs", "top1")},
    }


def _millions(count: float | None) -> str:
    return "-" if count is None else f"{count / 1e6:,.1f} M"


@click.command()
@click.argument("model")
@as_json
def info(model: str, json_: bool) -> None:
    """Count MODEL's parameters, MACs and activations beside its published figures."""
    from lightmobile.models import describe

    facts = describe(model)
    if json_:
        print_json(facts)
        return
    published = facts["published"]
    forms = [("training", facts["training"]), ("fused", facts["fused"])]
    height, width = facts["input_size"]
    print_table(
        [
            Column("form", lambda row: row[0]),
            Column("parameters", lambda row: f"{row[1]['params']:,}", "right"),
            Column("MACs", lambda row: f"{row[1]['macs']:,}", "right"),
            Column("activations", lambda row: f"{row[1]['activations']:,}", "right"),
        ],
        forms,
        title=f"{facts['name']} ({facts['family']}), one image of {height} x {width}",
    )
    click.echo("Published: " + ", ".join(f"{key} {value}" for key, value in published.items()))
