"""``lightmobile study``."""

from __future__ import annotations

from pathlib import Path

import click

from lightmobile.cli.findings import print_findings
from lightmobile.cli.options import device_option, runtime_option, store_option
from lightmobile.cli.output import (
    Column,
    as_csv,
    as_json,
    print_csv,
    print_json,
    print_table,
    printable,
)
from lightmobile.cli.progress import progress

__all__ = ["study"]


@click.command()
@click.argument("name", required=False)
@device_option
@runtime_option
@click.option("--threads", type=int, default=1, show_default=True, help="Threads of the runtime.")
@click.option(
    "--quick", is_flag=True, help="Tiny networks, one runtime: whether it works, not what is true."
)
@click.option("--rounds", type=click.IntRange(min=1), help="Rounds; default: by time.")
@click.option(
    "--time-budget",
    type=click.FloatRange(min=1),
    help="Seconds of measuring. Default: by the number of networks.",
)
@store_option
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path),
    help="Trained weights, for kernel-importance and conv-approximation.",
)
@click.option(
    "--model", default="resnet50", show_default=True, help="Whose weights, for conv-approximation."
)
@click.option(
    "--images",
    type=click.Path(path_type=Path),
    help="Folder of photographs, for conv-approximation.",
)
@as_json
@as_csv
def study(
    name: str | None,
    device: str,
    runtimes: str | None,
    threads: int,
    quick: bool,
    rounds: int | None,
    time_budget: float | None,
    store: Path | None,
    checkpoint: Path | None,
    model: str,
    images: Path | None,
    json_: bool,
    csv_: bool,
) -> None:
    """Put a paper's claims to this device: measure what NAME needs, and say what follows.

    Without NAME: the list. A claim holds, does not hold, or is undecided, where its interval leaves
    both open. Nothing is said of other devices.
    """
    if name is None:
        _print_list(json_, csv_)
        return
    from lightmobile.device_bench.studies.run import run_study

    with progress() as report:
        found = run_study(
            name,
            device=device,
            quick=quick,
            runtimes=tuple(runtimes.split(",")) if runtimes else None,
            threads=threads,
            rounds=rounds,
            time_budget=time_budget,
            store=store,
            checkpoint=checkpoint,
            model=model,
            images=images,
            progress=report,
        )
    if json_:
        print_json({"findings": found.to_dict()})
        return
    if not csv_:
        marks = " (EMULATED)" * found.emulated + " (QUICK SIZE)" * found.quick
        where = f" on {found.device}" if found.device else ""
        click.echo(printable(f"{found.study}{where}{marks}: {found.question}"))
    print_findings(found, csv_)


def _print_list(json_: bool, csv_: bool) -> None:
    from lightmobile.device_bench.studies.registry import list_studies

    rows = [
        {"name": each.name, "question": each.question, "paper": each.paper}
        for each in list_studies()
    ]
    if json_:
        print_json({"studies": rows})
    elif csv_:
        print_csv(tuple(rows[0]), (list(row.values()) for row in rows))
    else:
        print_table(
            [
                Column("study", lambda row: row["name"]),
                Column("question", lambda row: row["question"]),
            ],
            rows,
            title="Studies (`lightmobile study NAME`)",
        )
