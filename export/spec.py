"""What to export: the target, its backend, the precision, and the shape and layout of the input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from lightmobile.errors import UsageError
from lightmobile.export.precision import PRECISIONS

__all__ = ["IO", "TARGETS", "Backend", "ExportSpec", "Layout", "TargetInfo", "target_info"]

Layout = Literal["nchw", "nhwc"]
IO = Literal["float32", "int8"]

# No arithmetic on float32 has more; below its negative, nothing would be asked.
_MOST_DB = 200.0


@dataclass(frozen=True)
class Backend:
    """What runs a target's artifacts.

    Attributes
    ----------
    precisions
        Names of `PRECISIONS`; the first is the default.
    why_default
        Why it is, for the manifest.
    packages
        Distributions that lower for it, beside its target's.
    """

    precisions: tuple[str, ...]
    why_default: str
    packages: tuple[str, ...] = ()


@dataclass(frozen=True)
class TargetInfo:
    """What a target can be asked for; the first backend, layout and I/O type are its defaults.

    Attributes
    ----------
    packages
        Distributions that lower to this target; their versions go into manifests and cache keys.
    quantizers
        Those that quantize for it, beside them.
    io
        Types that inputs and outputs can have.
    """

    name: str
    title: str
    suffix: str
    backends: Mapping[str, Backend]
    packages: tuple[str, ...]
    quantizers: tuple[str, ...] = ()
    layouts: tuple[Layout, ...] = ("nchw",)
    io: tuple[IO, ...] = ("float32",)


TARGETS: dict[str, TargetInfo] = {
    info.name: info
    for info in (
        TargetInfo(
            "executorch",
            "ExecuTorch",
            ".pte",
            backends={
                "xnnpack": Backend(
                    ("fp32", "fp16", "int8", "int8_dynamic"),
                    "fp32 is what XNNPACK runs on every phone",
                ),
                "portable": Backend(("fp32", "fp16"), "fp32 runs everywhere"),
                "vulkan": Backend(
                    ("fp32", "fp16"), "fp32 is exact; how a GPU adds up in fp16 differs by driver"
                ),
                "coreml": Backend(
                    ("fp16", "fp32"),
                    "fp32 never runs on the Neural Engine",
                    packages=("coremltools",),
                ),
                "qnn": Backend(("fp16", "int8"), "fp16 needs no images to calibrate with"),
            },
            packages=("torch", "executorch"),
            quantizers=("torchao",),
        ),
        TargetInfo(
            "coreml",
            "Core ML",
            ".mlpackage",
            backends={
                "coreml": Backend(
                    ("fp16", "fp32", "int8", "w8", "w6p", "w4p"),
                    "fp32 never runs on the Neural Engine",
                ),
            },
            packages=("torch", "coremltools"),
            quantizers=("torchao",),
        ),
        TargetInfo(
            "tflite",
            "TFLite / LiteRT",
            ".tflite",
            backends={
                "tflite": Backend(
                    ("fp32", "int8", "int16x8", "int8_dynamic", "w8"),
                    "fp32 is what the CPU runs; the GPU rounds to fp16 by itself",
                ),
            },
            packages=("torch", "litert-torch", "litert-converter"),
            quantizers=("ai-edge-quantizer",),
            layouts=("nchw", "nhwc"),
            io=("float32", "int8"),
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
    io
        Type of inputs and outputs.
    keep_fp
        Layers that quantization leaves alone: names of modules, which stand for all inside them.
    min_sqnr
        What a quantized artifact has to keep, in dB, instead of its precision's bar.
    """

    target: str
    backend: str = ""
    precision: str = ""
    input_size: tuple[int, int] | None = None
    batch: int = 1
    layout: Layout = "nchw"
    io: IO = "float32"
    keep_fp: tuple[str, ...] = ()
    min_sqnr: float | None = None

    def __post_init__(self) -> None:
        info = target_info(self.target)
        self._choose("backend", info.title, tuple(info.backends))
        self._choose(
            "precision", f"{info.title}'s {self.backend}", info.backends[self.backend].precisions
        )
        self._choose("layout", info.title, info.layouts)
        self._choose("io", info.title, info.io)
        if self.batch < 1:
            raise UsageError(f"A batch of {self.batch} holds no image", fix="Give 1 or more")
        if self.input_size is not None and min(self.input_size) < 1:
            raise UsageError(f"An input of {self.input_size} has no pixels")
        if not PRECISIONS[self.precision].quantized and (self.keep_fp or self.min_sqnr is not None):
            raise UsageError(
                f"{self.precision} is not quantized",
                why="--keep-fp and --min-sqnr are about quantization",
                fix="Leave them out, or give --precision int8",
            )
        if self.min_sqnr is not None and not abs(self.min_sqnr) <= _MOST_DB:
            raise UsageError(f"{self.min_sqnr:g} dB is no SQNR", fix=f"Give {_MOST_DB:g} at most")
        if self.io == "int8" and self.precision != "int8":
            raise UsageError(
                f"Inputs and outputs of int8 do not go with {self.precision}",
                fix="Give --precision int8 too",
            )

    @property
    def packages(self) -> tuple[str, ...]:
        """Distributions whose versions decide the artifact."""
        info = target_info(self.target)
        quantized = PRECISIONS[self.precision].quantized
        lowering = info.packages + info.backends[self.backend].packages
        return lowering + (info.quantizers if quantized else ())

    def to_dict(self) -> dict[str, Any]:
        """Return the plain form that goes into cache keys and manifests."""
        return asdict(self)

    def _choose(self, field: str, whose: str, allowed: tuple[str, ...]) -> None:
        value = getattr(self, field) or allowed[0]
        object.__setattr__(self, field, value)
        if value not in allowed:
            raise UsageError(
                f"{whose} has no {field} {value!r}", fix=f"It can do {', '.join(allowed)}"
            )
