"""What an artifact costs, counted before it runs: from its network, and from its own operators."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lightmobile.export.manifest import Cost
from lightmobile.export.precision import PRECISIONS

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from lightmobile.export.spec import ExportSpec

__all__ = ["count"]

_BITS = {"fp32": 32, "fp16": 16, "fp": 32, "int16": 16, "int8": 8, "lut6": 6, "lut4": 4}


def count(
    module: nn.Module, spec: ExportSpec, input_size: tuple[int, int], channels: int, artifact: Path
) -> Cost:
    """Return the cost of one batch of `artifact`, which the deployed `module` was lowered to."""
    from lightmobile.export.inspection.traffic import lowered_bytes
    from lightmobile.models.cost import complexity

    precision = PRECISIONS[spec.precision]
    weights, activations = _BITS[precision.weights], _BITS[precision.activations]
    cost = complexity(module, input_size, channels=channels)
    ideal = cost.ideal_bytes - cost.weight_bytes
    return Cost(
        macs=cost.macs * spec.batch,
        params=cost.params,
        activations=cost.activations * spec.batch,
        activation_bytes=ideal * activations // 32 * spec.batch,
        weight_bytes=cost.weight_bytes * weights // 32,
        lowered_bytes=lowered_bytes(artifact),
        working_set_bytes=cost.working_set_bytes * activations // 32 * spec.batch,
    )
