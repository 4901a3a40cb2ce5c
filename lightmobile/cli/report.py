"""``lightmobile report``."""

from __future__ import annotations

from pathlib import Path

import click

from lightmobile.cli.output import as_json, print_json
from lightmobile.errors import UsageError

__all__ = ["report"]

_DEFAULT = Path("report.html")


@click.command()
@click.option(
    "--store", type=click.Path(path_type=Path), help="File of results; default: the user's own."
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="File to write. Default: report.html; standard output for the other formats.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["html", "md", "csv", "json"]),
    default="html",
    show_default=True,
)
@click.option("--device", help="Only these devices, by their labels: host,android:SERIAL.")
@click.option("--runtime", help="Only these runtimes: executorch,tflite,coreml.")
@click.option("--precision", help="Only these precisions: fp32,fp16,int8, ...")
@as_json
def report(
    store: Path | None,
    output: Path | None,
    format_: str,
    device: str | None,
    runtime: str | None,
    precision: str | None,
    json_: bool,
) -> None:
    """Write what was measured as one page that needs no network, or as md, csv or json."""
    from lightmobile.device_bench.report import Choice, collect, write
    from lightmobile.device_bench.results import write_whole
    from lightmobile.device_bench.store import Store

    if format_ == "html":
        output = output or _DEFAULT
    if output is None and json_:
        raise UsageError(
            f"--json tells where the file is, and --format {format_} writes none", fix="Give -o"
        )
    found = collect(Store(store), Choice(_words(device), _words(runtime), _words(precision)))
    text = write(found, format_)
    if output is None:
        click.echo(text, nl=False)
        return
    write_whole(output, text)
    count = len(found.everything)
    if json_:
        print_json({"file": str(output), "results": count})
    else:
        click.echo(f"Wrote {count} results to {output}")


def _words(text: str | None) -> tuple[str, ...]:
    return tuple(text.split(",")) if text else ()
