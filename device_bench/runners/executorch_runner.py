"""Runs ``.pte`` programs: ``python -m lightmobile.device_bench.runners.executorch_runner``.

Imports torch and ExecuTorch's native binding only. The public ``portable_lib`` is the same binding
behind an import of the whole exporter, 2 s and 170 modules that no inference needs.

The timed region is ``ExecuTorchMethod.execute()``: neither the copy of the inputs into the
program's memory nor that of the outputs out of it.
"""

from __future__ import annotations

import importlib
import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightmobile.device_bench.protocol import Load, Profiled
from lightmobile.device_bench.runners.serve import Engine, Unsupported, serve

if TYPE_CHECKING:
    from lightmobile.device_bench.runners.serve import Array


# Where one of them is built in and its driver is missing, loading can end the process.
_ACCELERATORS = {"VulkanBackend", "CoreMLBackend", "QnnBackend"}


class ExecuTorchEngine(Engine):
    """A program's ``forward`` method."""

    runtime = "executorch"
    timed = "execute(); inputs are copied before it and outputs after it"

    def __init__(self) -> None:
        import torch

        self._torch = torch
        self._binding = _import_binding()
        self._program: Any = None
        self._method: Any = None
        self._tensors: list[torch.Tensor] = []

    def versions(self) -> dict[str, str]:
        """Return those of ExecuTorch and torch."""
        return {name: version(name) for name in ("executorch", "torch")}

    def load(self, request: Load) -> None:
        """Map the program file into memory and initialise its method."""
        # The last artifact goes first: together they might not fit into memory.
        self._method = self._program = None
        self._tensors = []
        if request.threads is not None:
            # "Unsafe" while a program is loaded: its delegates hold the pool of their day.
            self._binding._unsafe_reset_threadpool(request.threads)
        self.threads = self._binding._threadpool_get_thread_count()
        self._program = self._binding._load_program(
            request.artifact,
            enable_etdump=request.record == "profile",
            program_verification=self._binding.Verification.InternalConsistency,
        )
        registered = set(self._binding._get_registered_backend_names())
        # The binding does not list a program's own.
        named = _names_in_program(Path(request.artifact), sorted(registered | _ACCELERATORS))
        if missing := ", ".join(name for name in named if name not in registered):
            raise Unsupported(
                f"the program is for {missing}, which ExecuTorch's package for Python does not "
                "have here: it runs on a phone"
            )
        self._method = self._program.load_method("forward")
        self.delegates = named

    def set_inputs(self, inputs: list[Array]) -> None:
        """Copy `inputs` into the program; planned inputs share memory with what it computes."""
        if not self._tensors:
            self._tensors = [self._torch.from_numpy(each) for each in inputs]
        self._method.set_inputs(self._tensors)

    def infer(self) -> None:
        """Execute the method."""
        self._method.execute()

    def outputs(self) -> list[Array]:
        """Return copies of the method's outputs."""
        return [each.numpy() for each in self._method.get_outputs()]

    def write_trace(self, path: Path) -> Profiled:
        """Write the events of every inference so far as an ETDump."""
        if not self._program.has_etdump():
            raise Unsupported("the program was not loaded for profiling")
        no_debug_buffer = f"{path}.debug"
        self._program.write_etdump_result_to_file(str(path), no_debug_buffer)
        return Profiled(format="etdump")


def _names_in_program(artifact: Path, names: list[str]) -> tuple[str, ...]:
    """Return those of `names` that a program holds as FlatBuffers strings: length, text, zero.

    Only its FlatBuffer is read: the segments behind it, which the extended header leads to, hold
    the weights, and reading those would count as memory that inference needs.
    """
    with artifact.open("rb") as file:
        head = file.read(24)
        size = int.from_bytes(head[16:24], "little") if head[8:12] == b"eh00" else -1
        file.seek(0)
        program = file.read(size)
    return tuple(
        name for name in names if len(name).to_bytes(4, "little") + name.encode() + b"\0" in program
    )


def _import_binding() -> Any:
    folder = importlib.import_module("executorch.extension.pybindings").__path__[0]
    if sys.platform == "win32":
        os.add_dll_directory(folder)
    return importlib.import_module("executorch.extension.pybindings._C")


if __name__ == "__main__":
    serve(ExecuTorchEngine)
