"""Find the fewest layers to keep from quantization."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightmobile.errors import UsageError, VerificationError
from lightmobile.export.calibration import PHOTOS, Calibration, CalibrationImages
from lightmobile.export.precision import PRECISIONS
from lightmobile.export.quantization.layers import merged
from lightmobile.export.session import export
from lightmobile.export.spec import ExportSpec
from lightmobile.export.verification.metrics import MAX_SQNR_DB

if TYPE_CHECKING:
    from lightmobile.export.artifact import Artifact
    from lightmobile.export.quantization.layers import LayerError

__all__ = ["Search", "Trial", "quantize_search"]

# Enough to rank the layers; each is measured by itself.
_IMAGES = 16
_ANY_SQNR = -MAX_SQNR_DB


@dataclass(frozen=True)
class Trial:
    """One artifact that was made and measured.

    Attributes
    ----------
    kept
        How many layers stayed in floating point: the first ones of the ranking.
    sqnr_db
        Measured by the artifact's verification.
    bytes
        Of the artifact.
    """

    kept: int
    sqnr_db: float
    bytes: int


@dataclass(frozen=True)
class Search:
    """What a search found.

    Attributes
    ----------
    artifact
        The one with the fewest layers kept.
    keep_fp
        Those layers; the module where it is all of a module's.
    ranking
        All layers, the one whose quantization alone costs most first, in PyTorch.
    trials
        What was made and measured on the way, in order.
    """

    artifact: Artifact
    keep_fp: tuple[str, ...]
    ranking: tuple[LayerError, ...]
    trials: tuple[Trial, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return what ``lightmobile quantize-search --json`` prints."""
        return {
            "artifact": self.artifact.to_dict(),
            "keep_fp": list(self.keep_fp),
            "ranking": [error.to_dict() for error in self.ranking],
            "trials": [asdict(trial) for trial in self.trials],
        }


def quantize_search(
    model: str,
    *,
    target: str,
    min_sqnr: float,
    precision: str = "int8",
    calibration: str | Path = PHOTOS,
    calibration_samples: int | None = None,
    output_dir: str | Path = "lightmobile-out",
    progress: Callable[[str, str], None] | None = None,
    **options: Any,
) -> Search:
    """Find the fewest layers to keep in floating point for an artifact of `min_sqnr`.

    The layers are ranked by what quantizing each alone costs, in PyTorch; then artifacts with the
    first so many kept are made, verified and compared, by bisection. The last is left in
    `output_dir`.

    Parameters
    ----------
    model, target, precision, calibration, calibration_samples, output_dir, progress
        As `lightmobile.export.export` takes them.
    min_sqnr
        In dB, of what varies between photographs.
    options
        More of its options: ``checkpoint``, ``pretrained``, ``untrained``, ``seed``,
        ``input_size``, ``overrides``, ``backend``.

    Raises
    ------
    UsageError
        The precision is not quantized, or an option is wrong.
    VerificationError
        `min_sqnr` is not reached with every layer kept.
    """
    ExportSpec(target, backend=options.get("backend") or "", precision=precision, min_sqnr=min_sqnr)
    report = progress or (lambda _target, _phase: None)
    report(target, "ranking the layers")
    ranking = _ranking(model, precision, calibration, calibration_samples, options)
    trials: list[Trial] = []

    def make(kept: int, folder: str | Path, least: float) -> Artifact:
        report(target, f"keeping {kept} of {len(ranking)} layers")
        (artifact,) = export(
            model,
            targets=(target,),
            precision=precision,
            calibration=calibration,
            calibration_samples=calibration_samples,
            keep_fp=_names(ranking, kept),
            min_sqnr=least,
            output_dir=folder,
            progress=progress,
            **options,
        )
        trials.append(Trial(kept, artifact.parity.sqnr_db, artifact.bytes))
        return artifact

    with tempfile.TemporaryDirectory() as folder:
        kept = _fewest(
            lambda count: make(count, folder, _ANY_SQNR).parity.sqnr_db, ranking, min_sqnr
        )
    if kept is None:
        best = max(trials, key=lambda trial: trial.sqnr_db)
        raise VerificationError(
            f"{model} does not keep {min_sqnr:g} dB on {target} in {precision}",
            why=f"With {best.kept} of {len(ranking)} layers kept it has {best.sqnr_db:.1f} dB",
            fix="Give a lower --min-sqnr, or calibrate with images such as the model will see",
        )
    artifact = make(kept, output_dir, min_sqnr)
    return Search(artifact, _names(ranking, kept), tuple(ranking), tuple(trials[:-1]))


def _names(ranking: Sequence[LayerError], kept: int) -> tuple[str, ...]:
    layers = [error.layer for error in ranking]
    return merged(layers[:kept], layers)


def _ranking(
    model: str,
    precision: str,
    calibration: str | Path,
    samples: int | None,
    options: dict[str, Any],
) -> list[LayerError]:
    from lightmobile.export.quantization.sensitivity import layer_errors
    from lightmobile.models.photographs import crops
    from lightmobile.models.prepared import prepare
    from lightmobile.models.preprocessing import preprocess

    if not PRECISIONS[precision].quantized:
        raise UsageError(f"{precision} is not quantized", fix="Give --precision int8")
    wanted = ("checkpoint", "untrained", "seed", "input_size", "overrides")
    prepared = prepare(model, **{name: options[name] for name in wanted if options.get(name)})
    recipe = prepared.facts.preprocessing
    images = preprocess(crops(_IMAGES, prepared.facts.input_size), recipe)
    shown = CalibrationImages(Calibration.of(calibration, samples), recipe, batch=8)
    return layer_errors(prepared.deployed, precision, images, shown)


def _fewest(
    measure: Callable[[int], float], ranking: Sequence[LayerError], min_sqnr: float
) -> int | None:
    """Return how many of the first layers have to be kept; None if all but one do not suffice.

    The first guess takes the errors of the layers for noise, whose powers add up.
    """
    most = len(ranking) - 1  # With all of them nothing would be quantized.
    too_few, enough = -1, most + 1
    count, step = min(_predicted(ranking, min_sqnr), most), 1
    while enough - too_few > 1:
        if measure(count) >= min_sqnr:
            enough = count
        else:
            too_few = count
        if too_few < 0 or enough > most:  # one end is still open: away from the other
            count = max(enough - step, 0) if too_few < 0 else min(too_few + step, most)
            step *= 2
        else:
            count = (too_few + enough) // 2
    return enough if enough <= most else None


def _predicted(ranking: Sequence[LayerError], min_sqnr: float) -> int:
    noise = [10 ** (-error.sqnr_db / 10) for error in ranking]
    allowed = 10 ** (-min_sqnr / 10)
    return next(count for count in range(len(noise) + 1) if sum(noise[count:]) <= allowed)
