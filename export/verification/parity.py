"""Hold one artifact against PyTorch: its constants against the weights, its answers in figures."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from lightmobile.errors import UsageError, VerificationError
from lightmobile.export.manifest import Parity
from lightmobile.export.verification.engines import answer, open_engines
from lightmobile.export.verification.metrics import (
    BARS,
    max_abs,
    rel_l2,
    sqnr_db,
    top1_agreement,
)
from lightmobile.export.verification.weights import compare_weights
from lightmobile.models.names import ModelName

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import nn

    from lightmobile.export.manifest import Manifest
    from lightmobile.export.verification.engines import Engine
    from lightmobile.export.verification.metrics import Bar
    from lightmobile.export.verification.reference import Reference

    Array = NDArray[Any]
    Outputs = tuple[Array, ...]

__all__ = ["check", "comparable_weights"]


@dataclass(frozen=True)
class _Figures:
    """How far one engine's answers lie from PyTorch's: the worst of all outputs."""

    max_abs: float
    rel_l2: float
    sqnr_db: float
    top1_agreement: float | None
    near_ties: int


def check(
    artifact: Path,
    manifest: Manifest,
    reference: Reference,
    weights: Mapping[str, NDArray[Any]] | None,
    computed: Iterable[tuple[NDArray[Any], frozenset[str]]] = (),
    min_sqnr: float | None = None,
) -> Parity:
    """Run `artifact` in this process and compare it with `reference` and `weights`.

    Parameters
    ----------
    artifact
        The file (``.pte``, ``.tflite``) or folder (``.mlpackage``).
    manifest
        What it should be: its target, precision, input size, batch and layout are read.
    reference
        Inputs and the deployed module's outputs for them.
    weights
        What `comparable_weights` gives: the deployed module's tensors, float32, by name.
    computed
        What the module computes from weights alone, each with their names.
    min_sqnr
        In dB, instead of the bar of a quantized precision.

    Raises
    ------
    VerificationError
        A constant differs from its source, or a figure misses its bar; the message names it.
    """
    bar = BARS.get(manifest.precision)
    if bar is None:
        raise UsageError(f"There is no bar for the precision {manifest.precision!r}")
    if min_sqnr is not None:
        bar = replace(bar, sqnr_db=min_sqnr)
    engines = open_engines(artifact, manifest)
    readable = [held for engine in engines if (held := engine.constants()) is not None]
    compared = 0
    if readable and weights is not None:
        constants = {name: constant for held in readable for name, constant in held.items()}
        compared = compare_weights(constants, weights, manifest.precision, computed)
    figures = [_figures(engine, artifact, manifest, reference, bar) for engine in engines]
    worst = _Figures(
        max_abs=max(figure.max_abs for figure in figures),
        rel_l2=max(figure.rel_l2 for figure in figures),
        sqnr_db=min(figure.sqnr_db for figure in figures),
        top1_agreement=min((figure.top1_agreement for figure in figures), key=_or_one),
        near_ties=figures[0].near_ties,
    )
    _judge(manifest, worst, bar)
    return Parity(
        method="+".join(engine.method for engine in engines),
        samples=len(reference.seeded) + len(reference.photographs),
        weights_compared=compared,
        training_rel_l2=reference.training_rel_l2,
        **asdict(worst),
    )


def comparable_weights(manifest: Manifest, deployed: nn.Module) -> dict[str, NDArray[Any]] | None:
    """Return the tensors of `deployed` by name, as they must lie in its artifact.

    None of a training form: its norms are folded by the exporter, in an order of its own.
    """
    if ModelName.parse(manifest.model).training:
        return None
    return {name: tensor.numpy() for name, tensor in deployed.state_dict().items()}


def _figures(
    engine: Engine, artifact: Path, manifest: Manifest, reference: Reference, bar: Bar
) -> _Figures:
    seeded = answer(engine, artifact, reference.seeded, manifest.layout)
    photographs = answer(engine, artifact, reference.photographs, manifest.layout)
    of_photographs = list(_pairs(artifact, reference.photograph_outputs, photographs))
    pairs = [*_pairs(artifact, reference.seeded_outputs, seeded), *of_photographs]
    agreement, near_ties = _agreement(*of_photographs[0], manifest, bar)
    return _Figures(
        max_abs=max(max_abs(*pair) for pair in pairs),
        rel_l2=max(rel_l2(*pair) for pair in pairs),
        sqnr_db=min(sqnr_db(*pair) for pair in of_photographs),
        top1_agreement=agreement,
        near_ties=near_ties,
    )


def _agreement(
    expected: Array, measured: Array, manifest: Manifest, bar: Bar
) -> tuple[float | None, int]:
    if expected.ndim > 2:  # The features of a backbone know no classes.
        return None, 0
    try:
        return top1_agreement(expected, measured, bar.near_tie(expected))
    except VerificationError:
        if manifest.quantization is None:
            raise
        # The noise that the bar allows may leave no class clear; then the SQNR is what is left.
        return None, len(expected)


def _or_one(agreement: float | None) -> float:
    return 1.0 if agreement is None else agreement


def _pairs(artifact: Path, expected: Outputs, measured: Outputs) -> Iterator[tuple[Array, Array]]:
    if [output.shape for output in expected] != [output.shape for output in measured]:
        raise VerificationError(
            f"{artifact.name} answers in another shape than PyTorch",
            why=f"{[output.shape[1:] for output in measured]} instead of "
            f"{[output.shape[1:] for output in expected]} for an image",
        )
    return zip(expected, measured, strict=True)


def _judge(manifest: Manifest, figures: _Figures, bar: Bar) -> None:
    for name, value, limit, passed in (
        ("relative L2 error", figures.rel_l2, bar.rel_l2, figures.rel_l2 <= bar.rel_l2),
        ("SQNR in dB", figures.sqnr_db, bar.sqnr_db, figures.sqnr_db >= bar.sqnr_db),
        (
            "top-1 agreement",
            _or_one(figures.top1_agreement),
            bar.top1_agreement,
            _or_one(figures.top1_agreement) >= bar.top1_agreement,
        ),
    ):
        if not passed:
            raise VerificationError(
                f"{manifest.file} does not compute what its model computes",
                why=f"The {name} is {value:.4g}, the bar {limit:g}",
                fix=_quantization_advice(manifest),
            )


def _quantization_advice(manifest: Manifest) -> str:
    if manifest.quantization is None:
        return ""
    search = f"lightmobile quantize-search {manifest.model} --target {manifest.target}"
    advice = f"`{search}` finds the layers to keep in floating point; --min-sqnr sets another bar"
    if manifest.weights.source == "untrained":
        advice += ". Untrained weights lose more than trained ones, which --checkpoint gives"
    return advice
