"""``lightmobile verify``."""

from __future__ import annotations

from pathlib import Path

import click

from lightmobile.cli.output import Column, as_json, figure, percent, print_json, print_table


@click.command()
@click.argument("artifact", type=click.Path(path_type=Path))
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path),
    help="The trained weights that the artifact was exported from.",
)
@click.option(
    "--model",
    help="The package.module:function that it was exported from: that code will be run.",
)
@click.option("--ignore-hash", is_flag=True, help="Judge by the numbers alone.")
@click.option(
    "--min-sqnr",
    type=float,
    metavar="DB",
    help="What a quantized artifact has to keep, instead of its precision's bar.",
)
@click.option("--layers", is_flag=True, help="Tell first what quantizing each layer alone costs.")
@click.option(
    "--calibration",
    default="photos",
    show_default=True,
    metavar="DIR|photos",
    help="For --layers: what the artifact was calibrated with.",
)
@as_json
def verify(
    artifact: Path,
    checkpoint: Path | None,
    model: str | None,
    ignore_hash: bool,
    min_sqnr: float | None,
    layers: bool,
    calibration: str,
    json_: bool,
) -> None:
    """Prove that ARTIFACT still computes what its PyTorch model computes.

    The file is parsed and run in a limited process of its own. Core ML packages are evaluated
    operator by operator in PyTorch (method `mil-torch`), on every system.
    """
    from lightmobile.export import rank_layers
    from lightmobile.export import verify as verify_artifact

    errors = []
    if layers:
        errors = rank_layers(artifact, checkpoint=checkpoint, model=model, calibration=calibration)
    if errors and not json_:
        print_table(
            [
                Column("layer", lambda e: e.layer),
                Column("kind", lambda e: e.kind),
                Column("SQNR dB", lambda e: figure(e.sqnr_db), "right"),
            ],
            errors,
            title=f"{artifact.name}: each layer quantized alone, in PyTorch",
        )
    verification = verify_artifact(
        artifact, checkpoint=checkpoint, model=model, ignore_hash=ignore_hash, min_sqnr=min_sqnr
    )
    if json_:
        print_json(
            verification.to_dict() | ({"layers": [e.to_dict() for e in errors]} if layers else {})
        )
        return
    parity = verification.parity
    print_table(
        [Column("figure", lambda row: row[0]), Column("value", lambda row: row[1], "right")],
        [
            ("method", parity.method),
            ("file hash", "as in the manifest" if verification.hash_ok else "NOT as in manifest"),
            ("largest difference", figure(parity.max_abs)),
            ("relative L2", figure(parity.rel_l2)),
            ("SQNR of what varies", f"{figure(parity.sqnr_db)} dB"),
            ("top-1 agreement", f"{percent(parity.top1_agreement)} ({parity.near_ties} near-ties)"),
            ("inputs", str(parity.samples)),
            ("weight tensors compared", str(parity.weights_compared)),
            ("deployed against training form", figure(parity.training_rel_l2)),
        ],
        title=f"{artifact.name}: verified",
    )
