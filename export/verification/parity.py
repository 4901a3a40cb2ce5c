"""Hold one artifact against PyTorch: its constants against the weights, its answers in figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lightmobile.export.manifest import Parity

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from lightmobile.export.manifest import Manifest
    from lightmobile.export.verification.reference import Reference

__all__ = ["check"]


def check(
    artifact: Path,
    manifest: Manifest,
    reference: Reference,
    weights: Mapping[str, NDArray[Any]],
) -> Parity:
    """Run `artifact` in this process and compare it with `reference` and `weights`.

    Parameters
    ----------
    artifact
        The file (``.pte``, ``.tflite``) or folder (``.mlpackage``).
    manifest
        What it should be: target, precision, layout, inputs and outputs are read.
    reference
        Inputs and the deployed module's outputs for them.
    weights
        The deployed module's tensors, float32, by name: ``{name: tensor.numpy()}`` of its state.

    Raises
    ------
    VerificationError
        A constant differs from its source, or a figure misses its bar; the message names it.
    """
    raise NotImplementedError
