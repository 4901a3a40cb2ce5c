"""Runs ``.mlpackage`` programs: ``python -m lightmobile.device_bench.runners.coreml_runner``.

Needs macOS.
The timed region is ``MLModel.predict()``, which includes the copies of inputs and outputs:
coremltools has no call without them. Core ML chooses its threads itself.
"""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from lightmobile.device_bench.protocol import Load
from lightmobile.device_bench.runners.serve import Engine, Unsupported, serve

if TYPE_CHECKING:
    from lightmobile.device_bench.runners.serve import Array

_UNITS = {"cpu": "CPU_ONLY", "gpu": "CPU_AND_GPU", "npu": "CPU_AND_NE"}


class CoreMLEngine(Engine):
    """An ML program, loaded for a set of compute units."""

    runtime = "coreml"
    timed = "predict(); inputs and outputs are copied inside it"
    computes = tuple(_UNITS)

    def __init__(self) -> None:
        import coremltools

        self._coremltools = coremltools
        self._model: Any = None
        self._names: list[str] = []
        self._inputs: dict[str, Array] = {}
        self._outputs: dict[str, Array] = {}

    def versions(self) -> dict[str, str]:
        """Return those of macOS, which holds Core ML, and of coremltools."""
        return {"macos": platform.mac_ver()[0], "coremltools": version("coremltools")}

    def load(self, request: Load) -> None:
        """Compile the package and load it for the compute unit asked for."""
        if not platform.mac_ver()[0]:
            raise Unsupported("Core ML needs macOS")
        units = self._coremltools.ComputeUnit[_UNITS[request.compute]]
        self._model = self._coremltools.models.MLModel(request.artifact, compute_units=units)
        self._names = [each.name for each in self._model.get_spec().description.input]

    def set_inputs(self, inputs: list[Array]) -> None:
        """Note the inputs by their names."""
        self._inputs = dict(zip(self._names, inputs, strict=True))

    def infer(self) -> None:
        """Predict."""
        self._outputs = self._model.predict(self._inputs)

    def outputs(self) -> list[Array]:
        """Return the outputs in the order of their names."""
        return [self._outputs[name] for name in sorted(self._outputs)]


if __name__ == "__main__":
    serve(CoreMLEngine)
