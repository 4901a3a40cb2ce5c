"""The commands that draw an artifact's graph, of tools that are not part of lightmobile."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["picture_commands"]


def picture_commands(path: Path, target: str, backend: str) -> tuple[str, ...]:
    """Return the commands for the artifact at `path`, as Netron 9.3 and Model Explorer 0.1 have it.

    Netron reads the graphs in XNNPACK's, Vulkan's and Core ML's delegates too, and refuses programs
    with Qualcomm's. Model Explorer reads ``.tflite``; Arm's extension (``pip install
    pte-adapter-model-explorer``) teaches it ``.pte`` files for XNNPACK; nothing Core ML's packages.
    """
    file = shlex.quote(str(path))
    if target == "coreml":  # It takes no folder.
        return (f"netron {shlex.quote(str(path / 'Manifest.json'))}",)
    if target == "tflite":
        return (f"netron {file}", f"model-explorer {file}")
    if backend == "qnn":
        return ()
    if backend == "xnnpack":
        explorer = f"model-explorer {file} --extensions=pte_adapter_model_explorer"
        return (f"netron {file}", explorer)
    return (f"netron {file}",)
