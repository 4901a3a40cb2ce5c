"""``lightmobile bench``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lightmobile.cli.output import (
    Column,
    as_csv,
    as_json,
    figure,
    megabytes,
    print_csv,
    print_json,
    print_table,
    say,
)
from lightmobile.cli.progress import progress

if TYPE_CHECKING:
    from lightmobile.device_bench.results import Result

__all__ = ["FIELDS", "bench", "print_results"]

FIELDS = (
    "id",
    "model",
    "artifact",
    "runtime",
    "compute",
    "backend",
    "precision",
    "batch",
    "threads",
    "device",
    "emulated",
    "median_ms",
    "ci95_low_ms",
    "ci95_high_ms",
    "p5_ms",
    "p90_ms",
    "p95_ms",
    "images_per_second",
    "load_ms",
    "first_ms",
    "peak_memory_bytes",
)


@click.command()
@click.argument("models", nargs=-1, metavar="[MODEL|ARTIFACT]...")
@click.option(
    "--device",
    default="host",
    show_default=True,
    help="host, or a device that an installed package adds.",
)
@click.option(
    "--compute",
    type=click.Choice(["cpu", "gpu", "npu"]),
    default="cpu",
    show_default=True,
)
@click.option("--runtime", "runtimes", help="executorch,tflite,coreml. Default: what there is.")
@click.option("--precision", help="fp32 or fp16. Default: each target's own.")
@click.option("--batch", default=1, show_default=True, help="Images per inference.")
@click.option("--threads", default=1, show_default=True, help="Threads of the runtime.")
@click.option(
    "--untrained", is_flag=True, help="Seeded weights also for a package.module:function."
)
@click.option("--rounds", type=click.IntRange(min=1), help="Rounds; default: until it is precise.")
@click.option(
    "--time-budget",
    type=click.FloatRange(min=1),
    default=60.0,
    show_default=True,
    help="Seconds of measuring, shared by all that is compared.",
)
@click.option("--store", type=click.Path(path_type=Path), help="File of results to append to.")
@click.option("--profile", is_flag=True, help="Also time each operator, in a pass of its own.")
@as_json
@as_csv
def bench(
    models: tuple[str, ...],
    device: str,
    compute: str,
    runtimes: str | None,
    precision: str | None,
    batch: int,
    threads: int,
    untrained: bool,
    rounds: int | None,
    time_budget: float,
    store: Path | None,
    profile: bool,
    json_: bool,
    csv_: bool,
) -> None:
    """Measure models (by name, exported as needed) or artifacts, interleaved, in one table.

    Without a name: FasterNet-T0 in every runtime that the device has.
    """
    from lightmobile.device_bench import bench as run_bench

    with progress() as report:
        outcome = run_bench(
            models or ("fasternet_t0",),
            device=device,
            compute=compute,
            runtimes=tuple(runtimes.split(",")) if runtimes else None,
            precision=precision,
            batch=batch,
            threads=threads,
            untrained=untrained,
            rounds=rounds,
            time_budget=time_budget,
            store=store,
            profile=profile,
            progress=report,
        )
    document = outcome.to_dict()
    if json_:
        print_json(document)
        return
    print_results(document["results"], csv_)
    for result in outcome.results if profile else ():
        if result.operators and not csv_:
            _print_operators(result)
        for failure in result.failures:
            say(f"{result.configuration.runtime}, {failure.stage}: {failure.error}")
    for skipped in document["skipped"]:
        say(
            f"skipped {skipped['model']} on {skipped['runtime']} ({skipped['compute']}): "
            f"{skipped['reason']}"
        )


def print_results(results: list[dict[str, Any]], csv_: bool, title: str | None = None) -> None:
    """Print results, each in the form of the ``--json`` contract, as a table or as CSV."""
    if csv_:
        print_csv(FIELDS, ([_flat(result)[field] for field in FIELDS] for result in results))
        return
    print_table(
        [
            Column("model", lambda r: r["model"]),
            Column("runtime", lambda r: r["runtime"]),
            Column("compute", lambda r: r["compute"] + (" EMULATED" if r["emulated"] else "")),
            Column("precision", lambda r: r["precision"]),
            Column("batch", lambda r: str(r["batch"]), "right"),
            Column("threads", lambda r: str(r["threads"] or "-"), "right"),
            Column("median ms", lambda r: figure(r["latency_ms"]["median"], 4), "right"),
            Column("95 % interval", _interval, "right"),
            Column("p95 ms", lambda r: figure(r["latency_ms"]["p95"], 4), "right"),
            Column("images/s", lambda r: figure(r["images_per_second"]), "right"),
            Column("load ms", lambda r: figure(r["load_ms"]), "right"),
            Column("first ms", lambda r: figure(r["first_ms"]), "right"),
            Column("memory", lambda r: megabytes(r["peak_memory_bytes"]), "right"),
            Column("device", lambda r: str(r["device"])),
        ],
        results,
        title=title,
    )


MOST_OPERATORS = 15


def _print_operators(result: Result) -> None:
    rows = result.operators
    print_table(
        [
            Column("operator", lambda row: row["name"]),
            Column("delegate", lambda row: row["delegate"] or "-"),
            Column("median ms", lambda row: figure(row["median_ms"]), "right"),
            Column("share", lambda row: f"{row['share']:.1%}", "right"),
        ],
        rows[:MOST_OPERATORS],
        title=f"{result.configuration.model} on {result.configuration.runtime}: "
        f"{min(MOST_OPERATORS, len(rows))} of {len(rows)} operators (all with --json)",
    )


def _interval(result: dict[str, Any]) -> str:
    low, high = result["latency_ms"]["ci95"]
    return f"{figure(low, 4)} - {figure(high, 4)}"


def _flat(result: dict[str, Any]) -> dict[str, Any]:
    latency = result["latency_ms"]
    low, high = latency["ci95"]
    return result | {
        "median_ms": latency["median"],
        "ci95_low_ms": low,
        "ci95_high_ms": high,
        **{f"p{p}_ms": latency[f"p{p}"] for p in (5, 90, 95)},
    }
