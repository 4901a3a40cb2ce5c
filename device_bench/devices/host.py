"""The machine of this process: Python runners in processes of their own."""

from __future__ import annotations

import math
import os
import shutil
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from lightmobile.device_bench.devices.device import Capability, Device
from lightmobile.errors import UsageError

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from lightmobile.device_bench.schema import Condition, DeviceIdentity
    from lightmobile.device_bench.session import RunnerSession

__all__ = ["HostDevice", "open_host"]

_RUNNERS = {
    "executorch": "lightmobile.device_bench.runners.executorch_runner",
    "tflite": "lightmobile.device_bench.runners.litert_runner",
    "coreml": "lightmobile.device_bench.runners.coreml_runner",
}
_PACKAGES = {
    "executorch": ("executorch",),
    "tflite": ("ai_edge_litert", "tflite_runtime"),
    "coreml": ("coremltools",),
}


class HostDevice(Device):
    """The machine that this process runs on."""

    @property
    def cores(self) -> int:
        """Cores that this process may be scheduled on, within its container's share."""
        if sys.platform == "linux":
            cores = len(os.sched_getaffinity(0))
        else:
            cores = os.cpu_count() or 1
        limits = self.identity().container
        return min(cores, math.ceil(limits.cpus)) if limits and limits.cpus else cores

    def capabilities(self) -> tuple[Capability, ...]:
        """Return ExecuTorch and LiteRT on the CPU; Core ML on all of a Mac's units."""
        return tuple(
            Capability(runtime, compute, _why_not(runtime, compute))
            for runtime in _RUNNERS
            for compute in ("cpu", "gpu", "npu")
        )

    def identity(self) -> DeviceIdentity:
        """Return the processor, its instruction sets, the system and its limits."""
        from lightmobile.device_bench.identity import host_identity

        return host_identity()

    def condition(self) -> Condition:
        """Return load and clocks."""
        from lightmobile.device_bench.identity import host_condition

        return host_condition()

    def start(self, runtime: str) -> RunnerSession:
        """Start this Python with the runner's module."""
        from lightmobile.device_bench.session import RunnerSession

        return RunnerSession([sys.executable, "-m", _RUNNERS[runtime]])

    def place(self, file: Path) -> str:
        """Return the path of `file`, which is there already."""
        return str(file)

    def scratch(self, name: str) -> str:
        """Return a path in a folder that ends with the run."""
        return str(Path(self._folder.name) / name)

    def fetch(self, path: str, file: Path) -> None:
        """Copy the file at `path`."""
        shutil.copyfile(path, file)

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="lightmobile-")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._folder.cleanup()


def _why_not(runtime: str, compute: str) -> str | None:
    if runtime == "coreml":
        if sys.platform != "darwin":
            return "needs macOS"
    elif compute != "cpu":
        return f"no {compute}: its runtime for Python runs on the CPU only"
    if not any(find_spec(package) for package in _PACKAGES[runtime]):
        return f"needs {_PACKAGES[runtime][0]}: pip install 'lightmobile[{runtime}]'"
    return None


def open_host(which: str | None = None) -> HostDevice:
    """Return this machine; there is only one, so that `which` must be None."""
    if which is not None:
        raise UsageError(f"There is no host {which!r}", fix="Use --device host")
    return HostDevice()
