"""What computes a ``.pte`` for an accelerator that is not here: PyTorch, from the file itself."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from lightmobile.export.verification.delegate import Delegate, only_delegate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from lightmobile.export.verification.compressed import Compressed

    Array = NDArray[Any]

__all__ = ["CoreMLDelegate", "VulkanDelegate"]


class VulkanDelegate:
    """A ``.pte`` for Vulkan, its graph computed in PyTorch."""

    method: ClassVar[str] = "vulkan-torch"

    def __init__(self, path: Path) -> None:
        from lightmobile.export.verification.vulkan import VulkanGraph

        self._delegate = only_delegate(path, "VulkanBackend")
        self._graph = VulkanGraph(self._delegate.payload, self._delegate.named)
        _require_shapes(self._delegate, self._graph.input_shapes, self._graph.output_shapes)
        self.input_shape = self._delegate.input_shape

    def run(self, batch: Array) -> tuple[Array, ...]:
        """Return the outputs; see `Engine.run`."""
        outputs = self._graph.run([batch])
        return tuple(outputs[place] for place in self._delegate.outputs)

    def constants(self) -> Mapping[str, Array]:
        """Return those of the graph; see `Engine.constants`."""
        return self._graph.constants()


class CoreMLDelegate:
    """A ``.pte`` for Core ML, the MIL program of the model in it evaluated in PyTorch."""

    method: ClassVar[str] = "mil-torch"

    def __init__(self, path: Path) -> None:
        from lightmobile.export.verification.flattened import unflatten
        from lightmobile.export.verification.mil import MilProgram

        self._delegate = only_delegate(path, "CoreMLBackend")
        with tempfile.TemporaryDirectory(prefix="lightmobile-") as temporary:
            folder = Path(temporary) / "model"
            unflatten(self._delegate.payload, folder)
            self._inputs, self._outputs = _names(folder)
            self._program = MilProgram.load(folder / "model.mlpackage")
        _require_shapes(
            self._delegate,
            [self._program.inputs[name].shape for name in self._inputs],
            [self._program.outputs[name].shape for name in self._outputs],
        )
        self.input_shape = self._delegate.input_shape

    def run(self, batch: Array) -> tuple[Array, ...]:
        """Return the outputs; see `Engine.run`."""
        outputs = self._program.run(dict(zip(self._inputs, [batch], strict=True)))
        return tuple(outputs[self._outputs[place]] for place in self._delegate.outputs)

    def constants(self) -> Mapping[str, Array | Compressed]:
        """Return those of the program; see `Engine.constants`."""
        return self._program.weights()


def _names(folder: Path) -> tuple[list[str], list[str]]:
    """Return the model's inputs and outputs in the delegate's order."""
    others = {item.name for item in folder.iterdir()} - {
        "model.mlpackage",
        "metadata.json",
        "debug_info.json",
    }
    if others:  # A device would take a compiled model first.
        raise ValueError(f"beside the Core ML model, it holds {', '.join(sorted(others))[:200]}")
    metadata = json.loads((folder / "metadata.json").read_bytes())
    return metadata["inputNames"], metadata["outputNames"]


def _require_shapes(
    delegate: Delegate, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]
) -> None:
    if [delegate.input_shape] != list(inputs) or list(delegate.output_shapes) != list(outputs):
        raise ValueError("its delegate's inputs and outputs are not its own")
