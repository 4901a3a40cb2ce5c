"""``lightmobile bench-ops``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from lightmobile.cli.bench import whole_numbers
from lightmobile.cli.findings import print_findings
from lightmobile.cli.options import (
    clocks_option,
    compute_option,
    device_option,
    runtime_option,
    store_option,
)
from lightmobile.cli.output import as_csv, as_json, print_json, say
from lightmobile.cli.progress import progress

__all__ = ["bench_ops"]


@click.command("bench-ops")
@click.argument("operators", nargs=-1, metavar="[OPERATOR]...")
@click.option(
    "--sizes",
    metavar="CxS,...",
    help="Channels and side of the input, such as 96x56,768x7. Default: the paper's four.",
)
@click.option("--layers", type=click.IntRange(min=1), help="Of a stack. Default: 10.")
@device_option
@compute_option
@runtime_option
@click.option(
    "--precision", default="fp32", show_default=True, help="One, or several such as fp32,int8."
)
@click.option("--batch", default="1", show_default=True, help="Images; several are compared.")
@click.option("--threads", default="1", show_default=True, help="One number, or several: 1,2,4.")
@click.option("--cores", help="Kinds of cores: big, mid, little, all.")
@clocks_option
@click.option("--rounds", type=click.IntRange(min=1), help="Sweeps; default: by time.")
@click.option(
    "--time-budget",
    type=click.FloatRange(min=1),
    default=360.0,
    show_default=True,
    help="Seconds of measuring.",
)
@click.option("--quick", is_flag=True, help="A small table, to see that everything works.")
@store_option
@as_json
@as_csv
def bench_ops(
    operators: tuple[str, ...],
    sizes: str | None,
    layers: int | None,
    device: str,
    compute: str,
    runtimes: str | None,
    precision: str,
    batch: str,
    threads: str,
    cores: str | None,
    clocks: Literal["as-shipped", "fixed"],
    rounds: int | None,
    time_budget: float,
    quick: bool,
    store: Path | None,
    json_: bool,
    csv_: bool,
) -> None:
    """Measure stacks of operators (PConv, DWConv, ...) beneath the device's own ceilings.

    Without a name: all of them. Exit code 3 where one is above its roof.
    """
    from lightmobile.device_bench.roofline.bench_ops import bench_ops as run

    with progress() as report:
        outcome = run(
            operators or None,
            sizes=_sizes(sizes) if sizes else None,
            layers=layers,
            device=device,
            compute=compute,
            runtimes=tuple(runtimes.split(",")) if runtimes else None,
            precision=tuple(precision.split(",")),
            batch=whole_numbers(batch, "--batch"),
            threads=whole_numbers(threads, "--threads"),
            cores=tuple(cores.split(",")) if cores else (None,),
            clocks=clocks,
            rounds=rounds,
            time_budget=time_budget,
            store=store,
            quick=quick,
            progress=report,
        )
    skipped = [each.to_dict() for each in outcome.report.skipped]
    if json_:
        print_json({"findings": outcome.findings.to_dict(), "skipped": skipped})
    else:
        print_findings(outcome.findings, csv_)
    for runtime, reason in {(each["runtime"], each["reason"]) for each in skipped}:
        say(f"skipped on {runtime}: {reason}")
    outcome.check()


def _sizes(text: str) -> tuple[tuple[int, int], ...]:
    try:
        pairs = [part.split("x") for part in text.split(",")]
        return tuple((int(channels), int(side)) for channels, side in pairs)
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is no list such as 96x56,768x7", param_hint="--sizes"
        ) from None
