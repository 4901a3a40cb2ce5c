"""``lightmobile quantize-search``."""

from __future__ import annotations

from pathlib import Path

import click

from lightmobile.cli.output import Column, as_json, figure, megabytes, print_json, print_table
from lightmobile.cli.progress import progress


@click.command("quantize-search")
@click.argument("model")
@click.option("--target", required=True, help="executorch, coreml or tflite.")
@click.option(
    "--min-sqnr", type=float, default=30.0, show_default=True, metavar="DB", help="What to reach."
)
@click.option("--precision", default="int8", show_default=True, help="Of all layers not kept.")
@click.option("--backend", help="Default: the target's own.")
@click.option("--calibration", default="photos", show_default=True, metavar="DIR|photos")
@click.option("--calibration-samples", type=int, metavar="N")
@click.option("--checkpoint", type=click.Path(path_type=Path), help="Trained weights.")
@click.option("--pretrained", is_flag=True, help="Published weights, from the Hugging Face hub.")
@click.option("--seed", default=0, show_default=True, help="Of untrained weights.")
@click.option("--input-size", nargs=2, type=int, metavar="H W", help="Default: the model's own.")
@click.option(
    "-o",
    "--output",
    "output_dir",
    type=click.Path(path_type=Path),
    default=Path("lightmobile-out"),
    show_default=True,
    help="Folder for the artifact and its manifest.",
)
@as_json
def quantize_search(
    model: str,
    target: str,
    min_sqnr: float,
    precision: str,
    backend: str | None,
    calibration: str,
    calibration_samples: int | None,
    checkpoint: Path | None,
    pretrained: bool,
    seed: int,
    input_size: tuple[int, int] | None,
    output_dir: Path,
    json_: bool,
) -> None:
    """Find the fewest layers of MODEL to keep in floating point for an SQNR.

    Layers are ranked by what quantizing each alone costs; each trial is a real artifact, made and
    measured. The one found stays in the output folder.
    """
    from lightmobile.export import quantize_search as search

    with progress() as report:
        found = search(
            model,
            target=target,
            min_sqnr=min_sqnr,
            precision=precision,
            backend=backend,
            calibration=calibration,
            calibration_samples=calibration_samples,
            checkpoint=checkpoint,
            pretrained=pretrained,
            seed=seed,
            input_size=input_size,
            output_dir=output_dir,
            progress=report,
        )
    if json_:
        print_json(found.to_dict())
        return
    print_table(
        [
            Column("layers kept", lambda t: str(t.kept), "right"),
            Column("SQNR dB", lambda t: figure(t.sqnr_db), "right"),
            Column("size", lambda t: megabytes(t.bytes), "right"),
        ],
        sorted(found.trials, key=lambda trial: trial.kept),
        title=f"{model} on {target} in {precision}",
    )
    kept = ", ".join(found.keep_fp) or "none"
    click.echo(f"kept: {kept}")
    click.echo(f"artifact: {found.artifact.path}")
