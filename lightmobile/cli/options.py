"""The options that every command that measures takes alike."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = [
    "clocks_option",
    "compute_option",
    "device_option",
    "runtime_option",
    "store_option",
]

device_option = click.option(
    "--device",
    default="host",
    show_default=True,
    help="host, android[:SERIAL], or a device that an installed package adds.",
)
compute_option = click.option(
    "--compute",
    type=click.Choice(["cpu", "gpu", "npu"]),
    default="cpu",
    show_default=True,
)
runtime_option = click.option(
    "--runtime", "runtimes", help="executorch,tflite,coreml. Default: what there is."
)
clocks_option = click.option(
    "--clocks",
    type=click.Choice(["as-shipped", "fixed"]),
    default="as-shipped",
    show_default=True,
    help="fixed: at a level that a phone can sustain (Android 11 on).",
)
store_option = click.option(
    "--store", type=click.Path(path_type=Path), help="File of results to append to."
)
