"""``lightmobile eval``."""

from __future__ import annotations

from pathlib import Path

import click

from lightmobile.cli.output import as_json, print_json


@click.command("eval")
@click.argument("artifact", type=click.Path(path_type=Path))
@click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path),
    help="A folder with one folder of images for each class.",
)
@click.option("--limit", type=click.IntRange(min=1), help="Stop after this many images.")
@as_json
def evaluate(artifact: Path, data: Path, limit: int | None, json_: bool) -> None:
    """Measure ARTIFACT's top-1 and top-5 accuracy on a labelled folder of images."""
    from lightmobile.export import evaluate as evaluate_artifact

    evaluation = evaluate_artifact(artifact, data, limit=limit)
    if json_:
        print_json(evaluation.to_dict())
        return
    click.echo(
        f"{artifact.name}: top-1 {evaluation.top1:.2%}, top-5 {evaluation.top5:.2%} "
        f"of {evaluation.samples} images"
    )
