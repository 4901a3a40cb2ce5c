"""What computes an artifact: its own runtime or, for Core ML away from macOS, PyTorch.

An engine is opened on a path and lives in the process of the check. Where the file has a reader of
ours it goes first: it checks every offset, which the runtimes do not.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

from lightmobile.errors import UsageError, VerificationError
from lightmobile.export.targets import load_plugins
from lightmobile.export.targets.executorch_backends import require_qnn
from lightmobile.export.verification.accelerators import CoreMLDelegate, VulkanDelegate
from lightmobile.export.verification.blame import blaming
from lightmobile.export.verification.delegate import only_delegate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from lightmobile.export.manifest import Manifest
    from lightmobile.export.verification.compressed import Compressed

    Array = NDArray[Any]

__all__ = ["ENGINES", "Engine", "answer", "open_engines"]


class Engine(Protocol):
    """One artifact, loaded."""

    method: ClassVar[str]
    """What the manifest says computed the figures."""

    input_shape: tuple[int, ...]

    def run(self, batch: Array) -> tuple[Array, ...]:
        """Return the outputs for one input of `input_shape`, float32."""
        ...

    def constants(self) -> Mapping[str, Array | Compressed] | None:
        """Return the constants in the artifact that hold numbers, by any names.

        None where only their vendor can read them.
        """
        ...


class ExecuTorch:
    """A ``.pte`` in ExecuTorch's own runtime; the file has to stay while this lives."""

    method: ClassVar[str] = "executorch"

    def __init__(self, path: Path) -> None:
        import torch
        from executorch.runtime import Runtime

        self._constants = self._read_constants(path)
        # A method does not keep its program alive.
        self._program = Runtime.get().load_program(path)
        method = self._program.load_method("forward")
        if method is None:
            raise ValueError("it has no method 'forward'")
        self._method = method
        if method.metadata.num_inputs() != 1:
            raise ValueError(f"it has {method.metadata.num_inputs()} inputs, not 1")
        tensor = method.metadata.input_tensor_meta(0)
        self.input_shape = tuple(tensor.sizes())
        # The binding tells the type as the number of the C++ enumeration.
        self._dtype = {5: torch.float16, 6: torch.float32}[tensor.dtype()]

    def run(self, batch: Array) -> tuple[Array, ...]:
        import torch

        outputs = self._method.execute((torch.from_numpy(batch).to(self._dtype),))
        # They live in the program's memory, which the next run writes over.
        return tuple(output.float().numpy().copy() for output in outputs)

    def constants(self) -> Mapping[str, Array | Compressed] | None:
        return self._constants

    @staticmethod
    def _read_constants(path: Path) -> Mapping[str, Array | Compressed] | None:
        from lightmobile.export.verification import pte

        return pte.constants(path)


class Qnn(ExecuTorch):
    """A ``.pte`` for Qualcomm's HTP in ExecuTorch's runtime, on the simulator of Qualcomm's SDK."""

    method: ClassVar[str] = "executorch-qnn"

    def __init__(self, path: Path) -> None:
        require_qnn()
        super().__init__(path)

    @staticmethod
    def _read_constants(path: Path) -> None:
        only_delegate(path, "QnnBackend")  # Its format is Qualcomm's own.


class LiteRT:
    """A ``.tflite`` in LiteRT's interpreter."""

    method: ClassVar[str] = "litert"

    def __init__(self, path: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter

        from lightmobile.export.verification import tflite

        self._constants = tflite.constants(path)
        self._interpreter = Interpreter(model_path=str(path))
        self._interpreter.allocate_tensors()
        details = self._interpreter.get_input_details()
        if len(details) != 1:
            raise ValueError(f"it has {len(details)} inputs, not 1")
        self._input = details[0]
        self._outputs = self._interpreter.get_output_details()
        self.input_shape = tuple(int(size) for size in self._input["shape"])

    def run(self, batch: Array) -> tuple[Array, ...]:
        self._interpreter.set_tensor(self._input["index"], _to_levels(batch, self._input))
        self._interpreter.invoke()
        return tuple(
            _from_levels(self._interpreter.get_tensor(output["index"]), output)
            for output in self._outputs
        )

    def constants(self) -> Mapping[str, Array | Compressed]:
        return self._constants


def _to_levels(values: Array, tensor: dict[str, Any]) -> Array:
    """Return `values` as an input of LiteRT takes them, rounded to its levels if it has any."""
    dtype = tensor["dtype"]
    if not np.issubdtype(dtype, np.integer):
        return values.astype(dtype, copy=False)
    scale, zero_point = tensor["quantization"]
    limits = np.iinfo(dtype)
    levels: Array = np.rint(values / scale) + zero_point
    return levels.clip(limits.min, limits.max).astype(dtype)


def _from_levels(values: Array, tensor: dict[str, Any]) -> Array:
    if not np.issubdtype(values.dtype, np.integer):
        return values.astype(np.float32)
    scale, zero_point = tensor["quantization"]
    numbers: Array = np.float32(scale) * (values.astype(np.float32) - zero_point)
    return numbers


class MilTorch:
    """A ``.mlpackage`` loaded back from disk, its MIL program evaluated in PyTorch."""

    method: ClassVar[str] = "mil-torch"

    def __init__(self, path: Path) -> None:
        from lightmobile.export.verification.mil import MilProgram

        self._program = MilProgram.load(path)
        self._input, self.input_shape = _only_input(
            {name: tensor.shape for name, tensor in self._program.inputs.items()}
        )

    def run(self, batch: Array) -> tuple[Array, ...]:
        outputs = self._program.run({self._input: batch})
        return tuple(outputs[name].astype(np.float32) for name in self._program.outputs)

    def constants(self) -> Mapping[str, Array | Compressed]:
        return self._program.weights()


class CoreML:
    """A ``.mlpackage`` in Core ML itself, on macOS."""

    method: ClassVar[str] = "coreml"

    def __init__(self, path: Path) -> None:
        import coremltools

        self._model = coremltools.models.MLModel(str(path))
        description = self._model.get_spec().description
        self._input, self.input_shape = _only_input(
            {item.name: tuple(item.type.multiArrayType.shape) for item in description.input}
        )
        self._outputs = [item.name for item in description.output]

    def run(self, batch: Array) -> tuple[Array, ...]:
        outputs = self._model.predict({self._input: batch})
        return tuple(np.asarray(outputs[name], np.float32) for name in self._outputs)

    def constants(self) -> Mapping[str, Array]:
        # mil-torch, which always goes first, has read them.
        return {}


def _only_input(shapes: Mapping[str, tuple[int, ...]]) -> tuple[str, tuple[int, ...]]:
    if len(shapes) != 1:
        raise ValueError(f"it has {len(shapes)} inputs, not 1")
    return next(iter(shapes.items()))


ENGINES: dict[str, tuple[Callable[[Path], Engine], ...]] = {
    "executorch": (ExecuTorch,),
    "tflite": (LiteRT,),
    "coreml": (MilTorch, CoreML) if sys.platform == "darwin" else (MilTorch,),
}
"""By target; the module of a plug-in's target adds its own when it is loaded."""

_BY_BACKEND: dict[tuple[str, str], tuple[Callable[[Path], Engine], ...]] = {
    ("executorch", "vulkan"): (VulkanDelegate,),
    ("executorch", "coreml"): (CoreMLDelegate,),
    ("executorch", "qnn"): (Qnn,),
}
"""Where a backend's artifacts need another engine than their target's."""


def open_engines(artifact: Path, manifest: Manifest) -> list[Engine]:
    """Load `artifact` with everything that computes its target here.

    Raises
    ------
    UsageError
        Nothing computes that target, or its package is not installed.
    VerificationError
        The artifact cannot be loaded, or takes another input than the manifest says.
    """
    if manifest.target not in ENGINES:
        load_plugins()
    if manifest.target not in ENGINES:
        raise UsageError(f"Nothing here can run an artifact for {manifest.target!r}")
    height, width = manifest.input_size
    channels = manifest.preprocessing.channels
    image = (channels, height, width) if manifest.layout == "nchw" else (height, width, channels)
    engines = []
    for kind in _BY_BACKEND.get((manifest.target, manifest.backend), ENGINES[manifest.target]):
        with blaming(artifact, "loaded"):
            engine = kind(artifact)
        if engine.input_shape != (manifest.batch, *image):
            raise VerificationError(
                f"{artifact.name} takes another input than its manifest says",
                why=f"{engine.input_shape} instead of {(manifest.batch, *image)}",
                fix="Export the model again",
            )
        engines.append(engine)
    return engines


def answer(engine: Engine, artifact: Path, images: Array, layout: str) -> tuple[Array, ...]:
    """Run images ``[images, 3, height, width]`` through an engine, a batch at a time.

    The last batch is filled up with its last image.

    Raises
    ------
    VerificationError
        The artifact cannot be run, or answers no finite numbers for each image.
    """
    batch = engine.input_shape[0]
    groups = []
    for start in range(0, len(images), batch):
        group = images[start : start + batch]
        filled = group[np.minimum(np.arange(batch), len(group) - 1)]
        if layout == "nhwc":
            filled = np.ascontiguousarray(filled.transpose(0, 2, 3, 1))
        with blaming(artifact, "run"):
            outputs = engine.run(filled)
        groups.append([output[: len(group)] for output in outputs])
    answers = tuple(np.concatenate(parts) for parts in zip(*groups, strict=True))
    for output in answers:
        if len(output) != len(images) or not np.isfinite(output).all():
            raise VerificationError(
                f"{artifact.name} does not answer finite numbers for every image",
                why=f"{len(output)} answers for {len(images)} images, "
                f"{np.isfinite(output).mean():.0%} of their numbers finite",
            )
    return answers
