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
    printable,
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
    """Count MODEL's parameters, MACs and activations, beside what its source publishes."""
    from lightmobile.models import describe

    facts = describe(model)
    if json_:
        print_json(facts)
        return
    height, width = facts["input_size"]
    rows = [(name, facts[name]) for name in ("training", "fused", "published")]
    print_table(
        [
            Column("figures", lambda row: row[0]),
            Column("parameters", lambda row: _count(row[1].get("params")), "right"),
            Column("MACs", lambda row: _count(row[1].get("macs")), "right"),
            Column("activations", lambda row: _count(row[1].get("activations")), "right"),
            Column("top-1 %", lambda row: figure(row[1].get("top1"), 4), "right"),
        ],
        rows,
        title=f"{facts['name']} ({facts['family']}), one image of {height} x {width}",
    )
    # A plug-in's or timm's words: escapes in them stay words.
    for title in ("source", "paper"):
        if facts[title]:
            click.echo(printable(f"{title.capitalize()}: {facts[title]}"))


def _count(count: float | None) -> str:
    return "-" if count is None else f"{count:,.0f}"
