"""How far an artifact's outputs may lie from PyTorch's, and how that is counted.

All figures are computed in float64 from finite arrays ``[images, ...]``, the reference first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lightmobile.errors import VerificationError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

__all__ = ["BARS", "Bar", "max_abs", "rel_l2", "sqnr_db", "top1_agreement", "variation"]

# Equal arrays have no noise; JSON has no infinity. Nothing in float32 comes near this figure.
MAX_SQNR_DB = 200.0


@dataclass(frozen=True)
class Bar:
    """What an artifact of one precision has to reach.

    Attributes
    ----------
    rel_l2
        Most relative L2 error, on seeded inputs and on photographs alike.
    sqnr_db
        Least signal-to-noise ratio on photographs, of what varies between them.
    top1_agreement
        Least share of photographs with the same best class, near-ties apart.
    """

    rel_l2: float
    sqnr_db: float
    top1_agreement: float = 1.0

    def near_tie(self, reference: Array) -> float:
        """Return the gap between two logits that noise within this bar may close.

        The difference of two logits carries sqrt(2) of the noise of one; three standard
        deviations of it are a near-tie. The allowed noise counts, not the artifact's own: a bad
        artifact must not excuse itself.
        """
        signal = _rms(reference - reference.mean(axis=0, keepdims=True))
        noise = min(self.rel_l2 * _rms(reference), 10 ** (-self.sqnr_db / 20) * signal)
        return 3 * math.sqrt(2) * noise


# fp16 is judged by its SQNR. Its L2 bar is there for the seeded noise, for which no network was
# scaled or trained: a wrong operator misses it by far, rounding does not.
# So are the quantized ones; noise is not what their ranges were calibrated for.
BARS: dict[str, Bar] = {
    "fp32": Bar(rel_l2=1e-5, sqnr_db=45.0),
    "fp16": Bar(rel_l2=2e-2, sqnr_db=45.0),
    "int8": Bar(rel_l2=1.0, sqnr_db=30.0),
    "int16x8": Bar(rel_l2=1.0, sqnr_db=30.0),
    "int8_dynamic": Bar(rel_l2=1.0, sqnr_db=30.0),
    "w8": Bar(rel_l2=1.0, sqnr_db=30.0),
    "w6p": Bar(rel_l2=1.0, sqnr_db=20.0),
    "w4p": Bar(rel_l2=1.0, sqnr_db=10.0),
}


def max_abs(reference: Array, measured: Array) -> float:
    """Return the largest absolute difference."""
    return float(np.max(np.abs(_difference(reference, measured))))


def rel_l2(reference: Array, measured: Array) -> float:
    """Return the L2 norm of the difference over that of the reference."""
    return _rms(_difference(reference, measured)) / _rms(reference)


def sqnr_db(reference: Array, measured: Array) -> float:
    """Return the signal-to-noise ratio in decibels, of what varies between images.

    A part that is the same for every image carries no information and hides noise (deep
    untrained networks answer almost only such a part), so the mean over images is taken out of
    the signal; all of the difference is noise.
    """
    noise = _rms(_difference(reference, measured))
    signal = _rms(reference - reference.mean(axis=0, keepdims=True))
    floor = signal * 10 ** (-MAX_SQNR_DB / 20)
    return 20 * math.log10(signal / max(noise, floor))


def variation(reference: Array) -> float:
    """Return the share of the reference's L2 norm that varies between images, 0 to 1."""
    total = _rms(reference)
    return _rms(reference - reference.mean(axis=0, keepdims=True)) / total if total else 0.0


def top1_agreement(reference: Array, measured: Array, near_tie: float) -> tuple[float, int]:
    """Return the share of images with the same best class, and how many nearly tie.

    Images whose two best logits of the reference lie within `near_tie` are left out.

    Raises
    ------
    VerificationError
        Every image nearly ties, so that agreement would prove nothing.
    """
    reference, measured = (
        np.asarray(logits, np.float64).reshape(len(logits), -1) for logits in (reference, measured)
    )
    if reference.shape[1] < 2:
        return 1.0, 0
    best = np.partition(reference, -2, axis=1)
    decided = best[:, -1] - best[:, -2] > near_tie
    if not decided.any():
        raise VerificationError(
            "The reference has no image with a clear best class",
            why=f"On all {len(reference)} photographs the two best lie within {near_tie:.3g}",
        )
    same = reference.argmax(axis=1) == measured.argmax(axis=1)
    return float(same[decided].mean()), int(len(decided) - decided.sum())


def _difference(reference: Array, measured: Array) -> NDArray[np.float64]:
    return np.subtract(measured, reference, dtype=np.float64)


def _rms(array: Array) -> float:
    return math.sqrt(np.mean(np.square(array, dtype=np.float64)))
