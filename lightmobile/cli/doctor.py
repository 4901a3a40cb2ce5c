"""``lightmobile doctor``."""

from __future__ import annotations

import click

from lightmobile.cli.output import Column, as_json, print_json, print_table


@click.command()
@as_json
def doctor(json_: bool) -> None:
    """Say what is installed, what is missing, what it would enable and how to get it."""
    from lightmobile.doctor import diagnose

    checks = diagnose()
    if json_:
        print_json({"checks": [check.to_dict() for check in checks]})
        return
    print_table(
        [
            Column("", lambda check: "ok" if check.ok else "--"),
            Column("piece", lambda check: check.name),
            Column("found", lambda check: check.found or "missing"),
            Column("enables", lambda check: check.enables),
            Column("how to get it", lambda check: "" if check.ok else check.fix),
        ],
        checks,
    )
