"""What to export: the target, its backend, the precision, and the shape and layout of the input."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from lightmobile.errors import UsageError

__all__ = ["TARGETS", "ExportSpec", "TargetInfo", "target_info"]

Layout = Literal["nchw", "nhwc"]


@dataclass(frozen=True)
class TargetInfo:
    """What a target can be asked for; the first backend, precision and layout are its defaults.

    Attributes
    ----------
    packages
        Distributions that lower to this target; their versions go into manifests and cache keys.
    why_default
        Why the first precision is the default, for ``--help`` and the manifest.
    """

    name: str
    title: str
    suffix: str
    backends: tuple[str, ...]
    precisions: tuple[str, ...]
    packages: tuple[str, ...]
    why_default: str
    layouts: tuple[Layout, ...] = ("nchw",)


TARGETS: dict[str, TargetInfo] = {
    info.name: info
    for info in (
        TargetInfo(
            "executorch",
            "ExecuTorch",
            ".pte",
            backends=("xnnpack", "portable"),
            precisions=("fp32", "fp16"),
            packages=("torch", "executorch"),
            why_default="fp32 is what XNNPACK runs on every phone",
        ),
        TargetInfo(
            "coreml",
            "Core ML",
            ".mlpackage",
            backends=("coreml",),
            precisions=("fp16", "fp32"),
            packages=("torch", "coremltools"),
            why_default="fp32 never runs on the Neural Engine",
        ),
        TargetInfo(
            "tflite",
            "TFLite / LiteRT",
            ".tflite",
            backends=("tflite",),
            precisions=("fp32",),
            packages=("torch", "litert-torch", "litert-converter"),
            why_default="fp32 is what the CPU runs; the GPU rounds to fp16 by itself",
            layouts=("nchw", "nhwc"),
        ),
    )
}


def target_info(name: str) -> TargetInfo:
    """Return the facts of target `name`, built in or from an installed package.

    Raises
    ------
    UsageError
        No such target; the message lists those there are.
    """
    from lightmobile.plugins import suggest

    if name not in TARGETS:
        from lightmobile.export.targets import load_plugins

        load_plugins()
    try:
        return TARGETS[name]
    except KeyError:
        raise UsageError(
            f"There is no target {name!r}",
            fix=f"Use {suggest(name, [*TARGETS, 'all'])}",
        ) from None


@dataclass(frozen=True)
class ExportSpec:
    """One target's artifact of a model.

    Attributes
    ----------
    target
        ``executorch``, ``coreml`` or ``tflite``, or one that a plug-in adds.
    backend, precision
        The target's default where empty.
    input_size
        Height and width in pixels; the model's own where None.
    batch
        Images per inference.
    layout
        Order of the input's axes.
    """

    target: str
    backend: str = ""
    precision: str = ""
    input_size: tuple[int, int] | None = None
    batch: int = 1
    layout: Layout = "nchw"

    def __post_init__(self) -> None:
        info = target_info(self.target)
        for field, allowed in (
            ("backend", info.backends),
            ("precision", info.precisions),
            ("layout", info.layouts),
        ):
            value = getattr(self, field) or allowed[0]
            object.__setattr__(self, field, value)
            if value not in allowed:
                raise UsageError(
                    f"{info.title} has no {field} {value!r}",
                    fix=f"It can do {', '.join(allowed)}",
                )
        if self.batch < 1:
            raise UsageError(f"A batch of {self.batch} holds no image", fix="Give 1 or more")
        if self.input_size is not None and min(self.input_size) < 1:
            raise UsageError(f"An input of {self.input_size} has no pixels")

    def to_dict(self) -> dict[str, Any]:
        """Return the plain form that goes into cache keys and manifests."""
        return asdict(self)
