"""``lightmobile bench``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from lightmobile.cli.options import (
    clocks_option,
    compute_option,
    device_option,
    runtime_option,
    store_option,
)
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
    from collections.abc import Callable

    from lightmobile.device_bench.benchmark import BenchReport
    from lightmobile.device_bench.results import Result

__all__ = ["FIELDS", "bench", "print_results", "whole_numbers"]

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
    "cores",
    "clocks",
    "device",
    "emulated",
    "hot",
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
@device_option
@compute_option
@runtime_option
@click.option("--precision", help="fp32, fp16, int8, ... Default: each target's own.")
@click.option("--batch", default=1, show_default=True, help="Images per inference.")
@click.option(
    "--threads",
    default="1",
    show_default=True,
    help="Threads of the runtime; several numbers, such as 1,2,4, are compared.",
)
@click.option(
    "--cores",
    help="Kinds of cores to run on: big, mid, little, all; several are compared. Default: as the "
    "system chooses.",
)
@clocks_option
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
@store_option
@click.option("--profile", is_flag=True, help="Also time each operator, in a pass of its own.")
@click.option(
    "--numerics",
    is_flag=True,
    help="Also compare the outputs with PyTorch's and the host runtime's; exit code 3 if they "
    "differ.",
)
@click.option(
    "--sustained",
    type=click.IntRange(min=1, max=24 * 60),
    metavar="MIN",
    help="Also run so many minutes without a break, and tell each minute's latency.",
)
@click.option(
    "--litert-benchmark",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="LiteRT's official benchmark_model for Android, to measure with instead, also --compute "
    "gpu.",
)
@as_json
@as_csv
def bench(
    models: tuple[str, ...],
    device: str,
    compute: str,
    runtimes: str | None,
    precision: str | None,
    batch: int,
    threads: str,
    cores: str | None,
    clocks: Literal["as-shipped", "fixed"],
    untrained: bool,
    rounds: int | None,
    time_budget: float,
    store: Path | None,
    profile: bool,
    numerics: bool,
    sustained: int | None,
    litert_benchmark: Path | None,
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
            threads=whole_numbers(threads, "--threads"),
            cores=tuple(cores.split(",")) if cores else (None,),
            clocks=clocks,
            untrained=untrained,
            rounds=rounds,
            time_budget=time_budget,
            store=store,
            profile=profile,
            numerics=numerics,
            sustained_minutes=sustained,
            litert_benchmark=litert_benchmark,
            progress=report,
        )
    document = outcome.to_dict()
    if json_:
        print_json(document)
    else:
        _print_report(outcome, csv_, document)
    outcome.check_numerics()


def _print_report(outcome: BenchReport, csv_: bool, document: dict[str, Any]) -> None:
    print_results(document["results"], csv_)
    for result in outcome.results:
        if not (csv_ or result.configuration.emulated):
            if result.operators:
                _print_operators(result)
            if result.sustained:
                _print_minutes(result)
        for failure in result.failures:
            say(f"{result.configuration.runtime}, {failure.stage}: {failure.error}")
    for skipped in document["skipped"]:
        say(
            f"skipped {skipped['model']} on {skipped['runtime']} ({skipped['compute']}): "
            f"{skipped['reason']}"
        )


def whole_numbers(text: str, option: str) -> tuple[int, ...]:
    """Return the numbers of a list such as ``1,2,4``, given for `option`."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is no number, and no list such as 1,2,4", param_hint=option
        ) from None


def print_results(results: list[dict[str, Any]], csv_: bool, title: str | None = None) -> None:
    """Print results, each in the form of the ``--json`` contract, as a table or as CSV."""
    if csv_:
        print_csv(FIELDS, ([_flat(result)[field] for field in FIELDS] for result in results))
        return
    optional = [column for column, key in _OPTIONAL if any(result.get(key) for result in results)]
    print_table(
        [
            Column("model", lambda r: r["model"]),
            Column("runtime", lambda r: r["runtime"]),
            Column("compute", lambda r: r["compute"]),
            Column("precision", lambda r: r["precision"]),
            Column("batch", lambda r: str(r["batch"]), "right"),
            Column("threads", lambda r: str(r["threads"] or "-"), "right"),
            *optional,
            Column("median ms", _speed(lambda r: figure(r["latency_ms"]["median"], 4)), "right"),
            Column("95 % interval", _speed(_interval), "right"),
            Column("p95 ms", _speed(lambda r: figure(r["latency_ms"]["p95"], 4)), "right"),
            Column("images/s", _speed(lambda r: figure(r["images_per_second"])), "right"),
            Column("load ms", _speed(lambda r: figure(r["load_ms"])), "right"),
            Column("first ms", _speed(lambda r: figure(r["first_ms"])), "right"),
            Column("memory", lambda r: megabytes(r["peak_memory_bytes"]), "right"),
            Column("device", lambda r: str(r["device"])),
        ],
        results,
        title=title,
    )


def _speed(write: Callable[[dict[str, Any]], str]) -> Callable[[dict[str, Any]], str]:
    """Write a figure of time, but of an emulator's none: it says nothing of a device's."""
    return lambda result: "EMULATED" if result["emulated"] else write(result)


def _agreement(result: dict[str, Any]) -> str:
    return ", ".join(
        f"{each['against']} {figure(each['rel_l2'], 2)}" + ("" if each["passed"] else " DIFFERS")
        for each in result.get("numerics", ())
    )


def _program(result: dict[str, Any]) -> str:
    told = result.get("summary")
    return (
        f"{told['program']}: mean {figure(told['mean_ms'], 4)} of {told['count']}" if told else "-"
    )


_OPTIONAL = (
    (Column("cores", lambda r: r["cores"] or "-"), "cores"),
    (Column("heat", lambda r: "HOT" if r["hot"] else "-"), "hot"),
    (Column("numerics (rel. L2)", _agreement), "numerics"),
    (Column("by another program", _speed(_program)), "summary"),
)


MOST_OPERATORS = 15


def _print_minutes(result: Result) -> None:
    print_table(
        [
            Column("minute", lambda row: str(row["minute"]), "right"),
            Column("median ms", lambda row: figure(row["median_ms"], 4), "right"),
            Column("p95 ms", lambda row: figure(row["p95_ms"], 4), "right"),
            Column("images/s", lambda row: figure(row["images_per_second"]), "right"),
            Column("thermal status", lambda row: _or_dash(row["thermal_status"]), "right"),
            Column("warmest °C", lambda row: figure(row["warmest_celsius"]), "right"),
        ],
        result.sustained,
        title=f"{result.configuration.model} on {result.configuration.runtime}, without a break",
    )


def _or_dash(value: object) -> str:
    return "-" if value is None else str(value)


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
    if low is None:
        return "-"
    return f"{figure(low, 4)} - {figure(high, 4)}"


def _flat(result: dict[str, Any]) -> dict[str, Any]:
    latency = result["latency_ms"]
    low, high = latency["ci95"]
    times = {
        "median_ms": latency["median"],
        "ci95_low_ms": low,
        "ci95_high_ms": high,
        **{f"p{p}_ms": latency[f"p{p}"] for p in (5, 90, 95)},
        **{key: result[key] for key in ("images_per_second", "load_ms", "first_ms")},
    }
    return result | (dict.fromkeys(times) if result["emulated"] else times)
