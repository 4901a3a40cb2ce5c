"""The precisions: what becomes of weights and activations in an artifact."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PRECISIONS", "Precision"]


@dataclass(frozen=True)
class Precision:
    """How an artifact stores weights and computes.

    Attributes
    ----------
    weights, activations
        Their number formats. ``lut4`` and ``lut6`` are indices into tables of 16 and 64 values.
    calibrated
        The ranges of the activations come from images.
    title
        For ``--help``.
    """

    name: str
    weights: str
    activations: str
    title: str
    calibrated: bool = False

    @property
    def quantized(self) -> bool:
        """Whether the weights are rounded to a grid that was laid over them."""
        return not self.weights.startswith("fp")


PRECISIONS: dict[str, Precision] = {
    precision.name: precision
    for precision in (
        Precision("fp32", "fp32", "fp32", "full precision"),
        Precision("fp16", "fp16", "fp16", "half precision"),
        Precision("int8", "int8", "int8", "weights by channel, activations by tensor", True),
        Precision("int16x8", "int8", "int16", "int8 weights, 16-bit activations", True),
        Precision("int8_dynamic", "int8", "fp32", "activations quantized as they come"),
        Precision("w8", "int8", "fp", "weights only"),
        Precision("w6p", "lut6", "fp", "weights from a palette of 64"),
        Precision("w4p", "lut4", "fp", "weights from a palette of 16"),
    )
}
