"""``lightmobile scale``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
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
    say,
)
from lightmobile.errors import UsageError

FIELDS = (
    "name",
    "strategy",
    "scale",
    "macs",
    "params",
    "activations",
    "depths",
    "widths",
    "height",
    "width",
)


@click.command()
@click.argument("base")
@click.option("--flops", type=float, required=True, help="MACs to scale to, such as 4e9.")
@click.option(
    "--strategy",
    default="dWr",
    show_default=True,
    help="What to export: dWr, letters such as dwr, weights such as d1_w4_r1, or an alpha: a0.6.",
)
@as_json
@as_csv
def scale(base: str, flops: float, strategy: str, json_: bool, csv_: bool) -> None:
    """Scale BASE to as many MACs by each strategy, side by side.

    The fewer activations, the faster (Dollár et al., CVPR 2021): dWr, fast compound scaling,
    grows mostly the width. Figures are of the training form, for one image.
    """
    from lightmobile.models.scaling import STRATEGIES, candidates

    (chosen,) = candidates(base, flops, [strategy])
    found = [chosen]
    for other in STRATEGIES:
        if other == strategy:
            continue
        try:
            found += candidates(base, flops, [other])
        except UsageError as error:
            say(f"{other} is left out: {error}")
    if json_:
        print_json(
            {
                "base": base,
                "macs": flops,
                "candidates": [asdict(candidate) for candidate in found],
                "export": chosen.name,
            }
        )
    elif csv_:
        print_csv(FIELDS, (_row(candidate) for candidate in found))
    else:
        _print(found, f"{base} at {figure(flops / 1e6)} M MACs")
        click.echo(f"To export {strategy}: lightmobile export {chosen.name}")


def _row(candidate: Any) -> list[Any]:
    height, width = candidate.input_size
    values = asdict(candidate) | {
        "depths": _stages(candidate.depths),
        "widths": _stages(candidate.widths),
        "height": height,
        "width": width,
    }
    return [values[field] for field in FIELDS]


def _print(found: Sequence[Any], title: str) -> None:
    print_table(
        [
            Column("strategy", lambda c: c.strategy),
            Column("MACs", lambda c: _millions(c.macs), "right"),
            Column("parameters", lambda c: _millions(c.params), "right"),
            Column("activations", lambda c: _millions(c.activations), "right"),
            Column("depths", lambda c: _stages(c.depths)),
            Column("widths", lambda c: _stages(c.widths)),
            Column("input", lambda c: "{}x{}".format(*c.input_size)),
            Column("model", lambda c: c.name),
        ],
        found,
        title=title,
    )


def _stages(counts: Sequence[int]) -> str:
    return " ".join(map(str, counts))


def _millions(count: int) -> str:
    return f"{count / 1e6:,.1f} M"
