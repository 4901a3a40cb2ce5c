"""Palettes for the weights of a Core ML package; what it computes stays in fp16."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from lightmobile.errors import UsageError
from lightmobile.export.quantization.layers import is_kept

__all__ = ["PALETTE_BITS", "Weight", "palettize"]

PALETTE_BITS = {"w6p": 6, "w4p": 4}
"""Of an index, by precision."""

# Apple's default is groups of 32. Smaller ones divide more layers; below 8 channels, palettes
# are large beside what they save, and a layer has one for all.
_GROUPS = range(32, 7, -1)


@dataclass(frozen=True)
class Weight:
    """What a constant of a package holds.

    Attributes
    ----------
    name
        Of the tensor in the module.
    channels
        Of its first axis.
    """

    name: str
    channels: int


def palettize(
    package: Any, precision: str, weights: Mapping[str, Weight], keep_fp: Collection[str]
) -> Any:
    """Return `package` with indices for weights, but for those of kept layers and small ones.

    The vendor's default leaves weights of up to 2048 elements alone, and biases.

    Parameters
    ----------
    package
        A ``coremltools.models.MLModel`` in fp16.
    precision
        One of `PALETTE_BITS`.
    weights
        By the name of the constant that holds each.
    keep_fp
        Names of modules to leave in fp16.

    Raises
    ------
    UsageError
        The converter changed a weight of a kept layer, which cannot be told from others then.
    """
    from coremltools.optimize import coreml as cto

    kept = {c: w.name for c, w in weights.items() if is_kept(w.name.rpartition(".")[0], keep_fp)}
    _require_constants(package, kept)
    config = cto.OptimizationConfig(_palette(precision))
    for constant, weight in weights.items():
        if sizes := [size for size in _GROUPS if weight.channels % size == 0]:
            grouped = {"granularity": "per_grouped_channel", "group_size": sizes[0]}
            config.set_op_name(constant, _palette(precision, **grouped))
    for constant in kept:
        config.set_op_name(constant, None)
    return cto.palettize_weights(package, config)


def _palette(precision: str, **options: Any) -> Any:
    from coremltools.optimize import coreml as cto

    return cto.OpPalettizerConfig(mode="kmeans", nbits=PALETTE_BITS[precision], **options)


def _require_constants(package: Any, kept: Mapping[str, str]) -> None:
    defined = {
        output.name
        for function in package.get_spec().mlProgram.functions.values()
        for block in function.block_specializations.values()
        for operation in block.operations
        for output in operation.outputs
    }
    if lost := sorted(name for constant, name in kept.items() if constant not in defined):
        raise UsageError(
            f"The weight {lost[0]!r} cannot be kept in fp16",
            why="Core ML's converter joined it with others, or computed with it",
            fix="Leave its layer out of --keep-fp",
        )
