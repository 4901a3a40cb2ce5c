"""``lightmobile cache list`` and ``lightmobile cache clear``."""

from __future__ import annotations

import click

from lightmobile.cli.output import Column, as_json, megabytes, print_json, print_table


@click.group()
def cache() -> None:
    """See or empty the store of what was exported before."""


@cache.command("list")
@as_json
def list_(json_: bool) -> None:
    """List what the cache holds."""
    from lightmobile.export.cache import cache_dir, entries

    found = entries()
    if json_:
        print_json({"folder": str(cache_dir()), "entries": [entry.to_dict() for entry in found]})
        return
    print_table(
        [
            Column("artifact", lambda entry: entry.artifact),
            Column("key", lambda entry: entry.key[:12]),
            Column("size", lambda entry: megabytes(entry.bytes), "right"),
        ],
        found,
        title=f"{len(found)} exports in {cache_dir()}",
    )


@cache.command()
@as_json
def clear(json_: bool) -> None:
    """Remove everything from the cache."""
    from lightmobile.export.cache import clear as clear_cache

    removed = clear_cache()
    if json_:
        print_json({"removed": removed})
    else:
        click.echo(f"Removed {removed} exports")
