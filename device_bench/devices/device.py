"""What a device is: a way to start runners there, what it can do, what it is and how it fares."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lightmobile.errors import DeviceError, UsageError
from lightmobile.plugins import suggest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from lightmobile.device_bench.schema import (
        Condition,
        Configuration,
        Cooling,
        DeviceIdentity,
        Summary,
    )
    from lightmobile.device_bench.session import RunnerSession

__all__ = ["Capability", "Device"]


@dataclass(frozen=True)
class Capability:
    """A runtime on a compute unit of a device; `why_not` says what keeps it from running."""

    runtime: str
    compute: str
    why_not: str | None = None


class Device(ABC):
    """One device. Opening it touches nothing on it; to run something, use it in a ``with``."""

    #: Emulated devices prove that something runs; their times are never compared.
    emulated: bool = False

    @property
    @abstractmethod
    def cores(self) -> int:
        """Processor cores that a runner may use."""

    @abstractmethod
    def capabilities(self) -> tuple[Capability, ...]:
        """Return every runtime and compute unit that the device knows of, able or not."""

    @abstractmethod
    def identity(self) -> DeviceIdentity:
        """Return what the device is."""

    @abstractmethod
    def condition(self) -> Condition:
        """Return what the device is doing now."""

    @abstractmethod
    def start(self, runtime: str) -> RunnerSession:
        """Start a runner of `runtime`."""

    @abstractmethod
    def place(self, file: Path) -> str:
        """Make `file` readable to runners; return its path on the device."""

    @abstractmethod
    def scratch(self, name: str) -> str:
        """Return a path on the device for a file that a runner writes; it ends with the run."""

    @abstractmethod
    def fetch(self, path: str, file: Path) -> None:
        """Copy what a runner wrote at `path` on the device to `file` here."""

    @abstractmethod
    def __enter__(self) -> Self:
        """Make the device ready to run something."""

    @abstractmethod
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the device as it was."""

    @property
    def is_lost(self) -> bool:
        """Whether the connection to the device broke in the run."""
        return False

    def reconnect(self) -> None:
        """Wait, for a bounded time, for a device that was lost; its runners are gone.

        Raises
        ------
        DeviceError
            It did not come back.
        """
        raise DeviceError("The device was lost", fix="Connect it, and measure again")

    @property
    def runtimes(self) -> tuple[str, ...]:
        """The runtimes that the device knows of, able or not."""
        return tuple(dict.fromkeys(each.runtime for each in self.capabilities()))

    def why_not(self, runtime: str, compute: str) -> str | None:
        """Return what keeps `runtime` from running on `compute`, or None where nothing does.

        Raises
        ------
        UsageError
            The device knows no such runtime or compute unit.
        """
        known = {(each.runtime, each.compute): each.why_not for each in self.capabilities()}
        for word, noun, words in (
            (runtime, "runtime", {runtime for runtime, _ in known}),
            (compute, "compute unit", {compute for _, compute in known}),
        ):
            if word not in words:
                raise UsageError(f"There is no {noun} {word!r}", fix=f"Use {suggest(word, words)}")
        return known.get((runtime, compute), f"{runtime} has no {compute} here")

    def why_not_artifact(
        self,
        runtime: str,  # noqa: ARG002 - for those that differ
        versions: Mapping[str, str],  # noqa: ARG002
    ) -> str | None:
        """Return what keeps an artifact of `runtime` from running here; None where nothing does.

        Parameters
        ----------
        versions
            Of the packages that exported it, as its manifest tells.
        """
        return None

    def check_threads(self, threads: int) -> int:
        """Return `threads`, which the device can run at once.

        Raises
        ------
        UsageError
            It cannot, or they are none.
        """
        if threads < 1:
            raise UsageError(f"{threads} threads run nothing", fix="Give --threads 1 or more")
        if threads > self.cores:
            raise UsageError(
                f"{threads} threads cannot run at once",
                why=f"The device lets a runner use {self.cores} cores",
                fix=f"Give --threads {self.cores} or fewer",
            )
        return threads

    def cores_of(self, kind: str | None) -> tuple[int, ...] | None:
        """Return the numbers of the cores of a `kind`: big, mid, little or all.

        Of None they are None: the system chooses.

        Raises
        ------
        UsageError
            There are no such cores.
        """
        if kind is None:
            return None
        raise UsageError(
            "This device does not tell which of its cores are fast",
            fix="Leave --cores out, or give a phone as --device",
        )

    def fix_clocks(self) -> None:
        """Hold the clocks at a level that can be sustained, until the device is left.

        Raises
        ------
        UsageError
            The device has no such level.
        DeviceError
            It did not take it.
        """
        raise UsageError(
            "This device has no clocks that can be fixed from here",
            fix="Leave --clocks out, or give a phone as --device",
        )

    def use_benchmark_model(self, program: Path) -> None:  # noqa: ARG002
        """Let LiteRT's own `program` measure ``.tflite`` files, also on the GPU.

        Raises
        ------
        UsageError
            The device cannot, or `program` is no file.
        """
        raise _no_program()

    def run_benchmark_model(
        self,
        artifact: Path,  # noqa: ARG002
        configuration: Configuration,  # noqa: ARG002
        session: str,  # noqa: ARG002
    ) -> Summary:
        """Return what the program of :meth:`use_benchmark_model` says of its runs."""
        raise _no_program()

    def wait_until_cool(self, progress: Callable[[str, str], None]) -> Cooling | None:  # noqa: ARG002
        """Wait, for a bounded time, until heat slows nothing; None where nothing is waited for.

        Parameters
        ----------
        progress
            Called with ``cooling`` and what is waited for.
        """
        return None


def _no_program() -> UsageError:
    return UsageError(
        "LiteRT's benchmark_model is for phones",
        fix="Leave --litert-benchmark out, or give a phone as --device",
    )
