"""``lightmobile roofline``."""

from __future__ import annotations

from pathlib import Path

import click

from lightmobile.cli.bench import whole_numbers
from lightmobile.cli.findings import print_findings
from lightmobile.cli.options import device_option, runtime_option, store_option
from lightmobile.cli.output import as_csv, as_json, print_json
from lightmobile.cli.progress import progress

__all__ = ["roofline"]


@click.command()
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@device_option
@runtime_option
@click.option("--precision", help="fp32, fp16, int8, ... Default: each target's own.")
@click.option("--threads", default="1", show_default=True, help="One number, or several: 1,2,4.")
@click.option("--rounds", type=click.IntRange(min=1), help="Sweeps; default: by time.")
@click.option(
    "--time-budget",
    type=click.FloatRange(min=1),
    default=120.0,
    show_default=True,
    help="Seconds of measuring.",
)
@click.option("--quick", is_flag=True, help="Few ceilings, to see that everything works.")
@store_option
@as_json
@as_csv
def roofline(
    models: tuple[str, ...],
    device: str,
    runtimes: str | None,
    precision: str | None,
    threads: str,
    rounds: int | None,
    time_budget: float,
    quick: bool,
    store: Path | None,
    json_: bool,
    csv_: bool,
) -> None:
    """Set models beneath the device's ceilings, and tell where their cost goes."""
    from lightmobile.device_bench import bench
    from lightmobile.device_bench.roofline.model_study import STUDY, model_findings
    from lightmobile.device_bench.roofline.probes import probes

    with progress() as report:
        outcome = bench(
            [*models, *(probe.model for probe in probes(quick))],
            device=device,
            runtimes=tuple(runtimes.split(",")) if runtimes else None,
            precision=precision,
            threads=whole_numbers(threads, "--threads"),
            rounds=rounds,
            time_budget=time_budget,
            store=store,
            memory=False,
            profile=models,
            study=STUDY,
            quick=quick,
            progress=report,
        )
    findings = model_findings(outcome.results)
    if json_:
        print_json({"findings": findings.to_dict()})
    else:
        print_findings(findings, csv_)
