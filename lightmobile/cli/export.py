"""``lightmobile export``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lightmobile.cli.output import (
    Column,
    as_json,
    figure,
    megabytes,
    percent,
    print_json,
    print_table,
)
from lightmobile.cli.progress import progress

if TYPE_CHECKING:
    from lightmobile.export.manifest import Placement
    from lightmobile.export.spec import IO, Layout


@click.command()
@click.argument("model")
@click.option(
    "--target",
    "targets",
    default="all",
    show_default=True,
    help="executorch, coreml, tflite, several with commas, or all.",
)
@click.option("--backend", help="ExecuTorch: xnnpack (default), portable, vulkan, coreml or qnn.")
@click.option(
    "--precision",
    help="fp32, fp16, int8, or one of a target's own (docs/quantization.md). Default: ExecuTorch "
    "fp32, TFLite fp32, Core ML fp16 (fp32 never runs on the Neural Engine).",
)
@click.option(
    "--calibration",
    default="photos",
    show_default=True,
    metavar="DIR|photos",
    help="Images that show int8 the ranges of activations.",
)
@click.option(
    "--calibration-samples",
    type=int,
    metavar="N",
    help="How many images at most. Default: 128.",
)
@click.option(
    "--keep-fp",
    multiple=True,
    metavar="LAYER",
    help="A layer that quantization leaves alone, with all inside it. Repeatable.",
)
@click.option(
    "--min-sqnr",
    type=float,
    metavar="DB",
    help="What a quantized file has to keep, instead of its precision's bar.",
)
@click.option(
    "--require-full-delegation",
    is_flag=True,
    help="An operator that the file's own delegate leaves is an error, exit code 4.",
)
@click.option(
    "--io",
    type=click.Choice(["float32", "int8"]),
    help="Type of inputs and outputs; TFLite int8: both.",
)
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path),
    help="Trained weights (.pth, .pt, .safetensors). Without it: seeded, marked `untrained`.",
)
@click.option("--pretrained", is_flag=True, help="Published weights, from the Hugging Face hub.")
@click.option(
    "--untrained", is_flag=True, help="Seeded weights also for a package.module:function."
)
@click.option("--seed", default=0, show_default=True, help="Of untrained weights.")
@click.option("--input-size", nargs=2, type=int, metavar="H W", help="Default: the model's own.")
@click.option("--features-only", is_flag=True, help="The stages' outputs, without the head.")
@click.option("--batch", default=1, show_default=True, help="Images per inference.")
@click.option("--layout", type=click.Choice(["nchw", "nhwc"]), help="Of the input; TFLite: both.")
@click.option(
    "-o",
    "--output",
    "output_dir",
    type=click.Path(path_type=Path),
    default=Path("lightmobile-out"),
    show_default=True,
    help="Folder for the artifacts and their manifests.",
)
@click.option("--no-cache", is_flag=True, help="Export anew even if it was exported before.")
@click.option("-v", "--verbose", is_flag=True, help="Show what the vendors' tools print.")
@click.option("--log", type=click.Path(path_type=Path), help="Keep what they print in a file.")
@as_json
def export(
    model: str,
    targets: str,
    backend: str | None,
    precision: str | None,
    calibration: str,
    calibration_samples: int | None,
    keep_fp: tuple[str, ...],
    min_sqnr: float | None,
    require_full_delegation: bool,
    io: IO | None,
    checkpoint: Path | None,
    pretrained: bool,
    untrained: bool,
    seed: int,
    input_size: tuple[int, int] | None,
    features_only: bool,
    batch: int,
    layout: Layout | None,
    output_dir: Path,
    no_cache: bool,
    verbose: bool,
    log: Path | None,
    json_: bool,
) -> None:
    """Export MODEL, verify each file against PyTorch, and write a manifest beside it.

    MODEL is a name of `lightmobile models`, timm:NAME, or package.module:function of your own.
    """
    from lightmobile.export import export as export_model

    with progress() as report:
        artifacts = export_model(
            model,
            targets=targets if targets == "all" else tuple(targets.split(",")),
            backend=backend,
            precision=precision,
            calibration=calibration,
            calibration_samples=calibration_samples,
            keep_fp=keep_fp,
            min_sqnr=min_sqnr,
            require_full_delegation=require_full_delegation,
            io=io,
            checkpoint=checkpoint,
            pretrained=pretrained,
            untrained=untrained,
            seed=seed,
            input_size=input_size,
            overrides={"features_only": True} if features_only else {},
            batch=batch,
            layout=layout,
            output_dir=output_dir,
            use_cache=not no_cache,
            verbose=verbose,
            log=log,
            progress=report,
        )
    if json_:
        print_json({"artifacts": [artifact.to_dict() for artifact in artifacts]})
        return
    print_table(
        [
            Column("artifact", lambda a: str(a.path)),
            Column("target", lambda a: a.target),
            Column("backend", lambda a: a.backend),
            Column("precision", lambda a: a.precision),
            Column("size", lambda a: megabytes(a.bytes), "right"),
            Column("rel. L2", lambda a: figure(a.parity.rel_l2, 2), "right"),
            Column("SQNR dB", lambda a: figure(a.parity.sqnr_db), "right"),
            Column("top-1", lambda a: percent(a.parity.top1_agreement), "right"),
            Column("s", lambda a: "cached" if a.cached else f"{a.seconds:.1f}", "right"),
        ],
        artifacts,
        title=f"{model}: each file computed what PyTorch computes",
    )
    for artifact in artifacts:
        for placement in artifact.placements:
            if placement.delegate and placement.undelegated:
                _print_undelegated(artifact.path.name, placement)


def _print_undelegated(name: str, placement: Placement) -> None:
    print_table(
        [
            Column("operator", lambda row: row[0]),
            Column("count", lambda row: str(row[1]), "right"),
            Column("why not", lambda row: placement.reasons.get(row[0], "-")),
        ],
        sorted(placement.undelegated.items(), key=lambda row: -row[1]),
        title=f"{name}: what {placement.delegate} leaves ({placement.by})",
    )
