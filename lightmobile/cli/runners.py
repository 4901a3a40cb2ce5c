"""``lightmobile runners build``, ``refresh`` and ``info``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lightmobile.cli.output import as_json, megabytes, print_json, say
from lightmobile.cli.progress import progress

if TYPE_CHECKING:
    from lightmobile.device_bench.bundle import Bundle

__all__ = ["runners"]

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.group()
def runners() -> None:
    """Build, or look at, the native runners that are pushed to phones."""


@runners.command()
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder to make. Default: where `bench` looks for it, in the user's cache.",
)
@click.option("--pins", type=_FILE, help="Pinned parts. Default: the package's own.")
@as_json
def build(output: Path | None, pins: Path | None, json_: bool) -> None:
    """Build the runners, and put the libraries beside them that they load (on Debian)."""
    from lightmobile.device_bench.bundle.building import build_bundle
    from lightmobile.device_bench.bundle.pins import PINS

    with progress() as report:
        bundle = build_bundle(output, report, pins or PINS)
    _print(bundle, json_)


@runners.command()
@click.option(
    "--pins", type=_FILE, metavar="FILE", help="File to write. Default: the checkout's own."
)
@as_json
def refresh(pins: Path | None, json_: bool) -> None:
    """Pin the versions that Debian's archive has now."""
    from lightmobile.device_bench.bundle.refreshing import refresh_pins

    with progress() as report:
        found = refresh_pins(pins, report)
    if json_:
        print_json(found.model_dump())
        return
    for pin in found.debian:
        click.echo(f"{pin.package} {pin.version}")
    for wheel in found.wheel:
        click.echo(f"{wheel.project} {wheel.version}")


@runners.command()
@as_json
def info(json_: bool) -> None:
    """Say which runners `bench` pushes to phones, and what is in them."""
    from lightmobile.device_bench.bundle import find_bundle

    _print(find_bundle(), json_)


def _print(bundle: Bundle, json_: bool) -> None:
    if json_:
        print_json(bundle.to_dict())
    else:
        click.echo(f"{bundle.folder}: {megabytes(bundle.size_bytes)} for {bundle.abi}")
        click.echo(f"content   {bundle.content_hash}")
        for name, version in bundle.versions.items():
            click.echo(f"{name:<16} {version}")
    if bundle.is_stale:
        say("stale: this lightmobile's sources are others; `lightmobile runners build`")
