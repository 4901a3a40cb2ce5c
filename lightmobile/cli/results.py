"""``lightmobile results``: list, share and take in what was measured."""

from __future__ import annotations

from pathlib import Path

import click

from lightmobile.cli.bench import print_results
from lightmobile.cli.output import as_csv, as_json, print_json

store_option = click.option(
    "--store", type=click.Path(path_type=Path), help="File of results; default: the user's own."
)


@click.group(invoke_without_command=True)
@store_option
@as_json
@as_csv
@click.pass_context
def results(context: click.Context, store: Path | None, json_: bool, csv_: bool) -> None:
    """List the results that this machine keeps."""
    if context.invoked_subcommand is not None:
        return
    from lightmobile.device_bench.results import results as read_results
    from lightmobile.device_bench.store import Store

    kept = Store(store)
    found = [result.to_dict() for result in read_results(kept)]
    if json_:
        print_json({"store": str(kept.path), "results": found})
    else:
        print_results(found, csv_, title=f"{len(found)} results in {kept.path}")


@results.command("export")
@click.argument("file", type=click.Path(path_type=Path))
@store_option
@click.option("--anonymous", is_flag=True, help="Leave out names of hosts, users and paths.")
@as_json
def export_(file: Path, store: Path | None, anonymous: bool, json_: bool) -> None:
    """Write the results to FILE, to be shared."""
    from lightmobile.device_bench.results import export_results
    from lightmobile.device_bench.store import Store

    count = export_results(Store(store), file, anonymous=anonymous)
    if json_:
        print_json({"file": str(file), "results": count})
    else:
        click.echo(f"Wrote {count} results to {file}")


@results.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@store_option
@as_json
def import_(file: Path, store: Path | None, json_: bool) -> None:
    """Take in the results of FILE; what is already here is left as it is."""
    from lightmobile.device_bench.results import import_results
    from lightmobile.device_bench.store import Store

    count = import_results(Store(store), file)
    if json_:
        print_json({"file": str(file), "results": count})
    else:
        click.echo(f"Took in {count} new results from {file}")


@results.command()
def schema() -> None:
    """Print the JSON Schema of a store's lines."""
    from lightmobile.device_bench.schema import json_schema

    print_json(json_schema())
