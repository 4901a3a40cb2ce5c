"""The targets by name: what lowers a deployed module to one kind of file.

A target is anything with the three members of `Target`; the built-in ones are modules. Another
package adds its own through the entry points group ``lightmobile.targets``.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from lightmobile import plugins
from lightmobile.errors import UsageError
from lightmobile.export.precision import PRECISIONS
from lightmobile.export.quantization.layers import require_layers

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from torch import nn

    from lightmobile.export.calibration import CalibrationImages
    from lightmobile.export.manifest import Placement, Tensor
    from lightmobile.export.spec import ExportSpec, TargetInfo

__all__ = [
    "BUILT_IN",
    "Lowered",
    "Target",
    "import_exporter",
    "load_plugins",
    "load_target",
    "lower",
]


@dataclass(frozen=True)
class Lowered:
    """What an exporter reports of the file it wrote.

    Attributes
    ----------
    placements
        Where its operators run; the first is of the backend that it is made for.
    inputs, outputs
        Its signature, as a runtime sees it.
    lowering
        Form chosen of each operator that has several, see `lightmobile.export.lowerings`.
    """

    placements: tuple[Placement, ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    lowering: dict[str, str] = field(default_factory=dict)


@runtime_checkable
class Target(Protocol):
    """What lowers a module to one kind of file."""

    INFO: TargetInfo

    def preload(self) -> None:
        """Import the exporter, in a process that does nothing but lower to this target."""

    def lower(
        self,
        module: nn.Module,
        spec: ExportSpec,
        path: Path,
        example: torch.Tensor,
        images: CalibrationImages | None,
    ) -> Lowered:
        """Write `module`, in eval mode, to `path`.

        Parameters
        ----------
        example
            Float32 input [N, 3, H, W] of the shape to export; its values are arbitrary.
        images
            What shows the ranges of activations, where `spec.precision` wants it.
        """
        ...


BUILT_IN = ("executorch", "coreml", "tflite")


def load_plugins() -> None:
    """Register the targets that other installed packages bring.

    Raises
    ------
    UsageError
        One of them cannot be imported, is no target, or takes the name of another.
    """
    _plugins()


def load_target(name: str) -> Target:
    """Return target `name`, which `target_info` knows, its exporter not yet imported."""
    if name in BUILT_IN:
        module: Any = importlib.import_module(f"lightmobile.export.targets.{name}")
        target: Target = module
        return target
    return _plugins()[name]


def lower(
    module: nn.Module,
    spec: ExportSpec,
    path: Path,
    *,
    input_size: tuple[int, int] | None = None,
    channels: int = 3,
    images: CalibrationImages | None = None,
) -> Lowered:
    """Write `module` as `spec` says to `path`, in this process and without verification.

    Parameters
    ----------
    module
        In its deployed form (`fuse`), in eval mode; it stays as it is.
    spec
        The target and how to lower to it.
    path
        A new file, or for Core ML a new folder.
    input_size
        Height and width where `spec` leaves them to the model.
    channels
        Of the input.
    images
        What calibrates a quantized precision.

    Raises
    ------
    UsageError
        The target's packages are missing, or no input size or no images are given.
    InternalError
        The exporter failed.
    """
    import torch

    size = spec.input_size or input_size
    if size is None:
        raise UsageError("The input size is missing", fix="Give it in the spec or as input_size")
    if module.training:
        raise UsageError(
            "The module is in training mode", fix="Give its deployed form, fuse(module)"
        )
    if images is None and PRECISIONS[spec.precision].calibrated:
        raise UsageError(f"{spec.precision} needs images to calibrate with", fix="Give images")
    require_layers(module, spec.keep_fp)
    example = torch.zeros(spec.batch, channels, *size)
    return load_target(spec.target).lower(module, spec, path, example, images)


def import_exporter(info: TargetInfo, *modules: str) -> None:
    """Import the `modules` that lower to the target of `info`.

    Raises
    ------
    UsageError
        One of them is not installed, or cannot be imported.
    """
    try:
        for module in modules:
            importlib.import_module(module)
    except ImportError as error:
        raise UsageError(
            f"The exporter of {info.title} cannot be imported",
            why=str(error),
            fix=f"pip install 'lightmobile[{info.name}]' (Linux and macOS)",
        ) from None


_found: dict[str, Target] = {}


def _plugins() -> dict[str, Target]:
    from lightmobile.export.spec import TARGETS

    for entry, target in plugins.load("lightmobile.targets").items():
        if not isinstance(target, Target):
            raise UsageError(
                f"The plug-in {entry!r} is no target",
                why="A target has INFO, preload() and lower()",
            )
        name = target.INFO.name
        if TARGETS.setdefault(name, target.INFO) is not target.INFO:
            raise UsageError(f"There are two targets named {name!r}", fix="Uninstall one")
        _found[name] = target
    return _found
