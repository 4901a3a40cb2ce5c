"""Runs ``.tflite`` models: ``python -m lightmobile.device_bench.runners.litert_runner``.

Imports LiteRT's interpreter only (``ai_edge_litert``, or its forerunner ``tflite_runtime`` where
only that is installed). The timed region is ``Interpreter.invoke()``: neither the copy of the
inputs into the model's tensors nor that of the outputs out of them. The interpreter shows Python
no profiler, so that there are no times per operator.
"""

from __future__ import annotations

import importlib
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from lightmobile.device_bench.protocol import Load
from lightmobile.device_bench.runners.serve import Engine, serve

if TYPE_CHECKING:
    from lightmobile.device_bench.runners.serve import Array


class LiteRTEngine(Engine):
    """An interpreter with its default delegate, XNNPACK."""

    runtime = "tflite"
    timed = "invoke(); inputs are copied before it and outputs after it"

    def __init__(self) -> None:
        try:
            module = importlib.import_module("ai_edge_litert.interpreter")
            self._package = "ai-edge-litert"
        except ModuleNotFoundError:
            module = importlib.import_module("tflite_runtime.interpreter")
            self._package = "tflite-runtime"
        self._make_interpreter = module.Interpreter
        self._interpreter: Any = None
        self._input_indices: list[int] = []
        self._output_indices: list[int] = []

    def versions(self) -> dict[str, str]:
        """Return that of the package that computes."""
        return {self._package: version(self._package)}

    def load(self, request: Load) -> None:
        """Map the model file into memory, delegate, and allocate its tensors."""
        self._interpreter = None  # the last one goes first
        self._interpreter = self._make_interpreter(
            model_path=request.artifact, num_threads=request.threads
        )
        self._interpreter.allocate_tensors()
        self._input_indices = [each["index"] for each in self._interpreter.get_input_details()]
        self._output_indices = [each["index"] for each in self._interpreter.get_output_details()]
        operators = {each["op_name"] for each in self._interpreter._get_ops_details()}
        self.delegates = ("XNNPACK",) if "DELEGATE" in operators else ()

    def set_inputs(self, inputs: list[Array]) -> None:
        """Copy `inputs` into the model's input tensors."""
        for index, array in zip(self._input_indices, inputs, strict=True):
            self._interpreter.set_tensor(index, array)

    def infer(self) -> None:
        """Invoke the interpreter."""
        self._interpreter.invoke()

    def outputs(self) -> list[Array]:
        """Return copies of the model's output tensors."""
        return [self._interpreter.get_tensor(index) for index in self._output_indices]


if __name__ == "__main__":
    serve(LiteRTEngine)
