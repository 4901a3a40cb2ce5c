"""What all passes of a bench share: the device, its files, and the store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lightmobile.device_bench.devices import Device
from lightmobile.device_bench.inputs import write_noise
from lightmobile.device_bench.plan import Planned
from lightmobile.device_bench.protocol import Load, Record, Tensor
from lightmobile.device_bench.schema import Configuration, Failure, Line, Slice
from lightmobile.device_bench.session import RunnerError, RunnerSession
from lightmobile.device_bench.store import Store
from lightmobile.errors import DeviceError

__all__ = ["LostError", "Member", "Progress", "Workbench"]

Progress = Callable[[str, str], None]


class LostError(DeviceError):
    """The connection to the device broke; its runners are gone, the store is whole."""


class Member:
    """A configuration on its way through the passes."""

    def __init__(self, planned: Planned) -> None:
        self.planned = planned
        self.failure: Failure | None = None
        self.slices: list[Slice] = []
        self.processes = 0
        self.output_sha256: str | None = None
        # Set by the first process, and kept so that all slices weigh the same.
        self.expected_s: float | None = None

    @property
    def configuration(self) -> Configuration:
        """What it is a configuration of."""
        return self.planned.configuration

    @property
    def artifact(self) -> Path:
        """The file to run."""
        assert self.planned.artifact is not None  # noqa: S101 - what is skipped is no member
        return self.planned.artifact

    @property
    def title(self) -> str:
        """What a person calls it."""
        return f"{self.configuration.model} on {self.configuration.runtime}"


class Workbench:
    """A device that was entered, and the session in the store that is measured on it.

    Parameters
    ----------
    session
        Id of the session, whose line the store already has.
    folder
        For files of this side; someone else removes it.
    seed
        Of the inputs.
    """

    def __init__(
        self,
        planned: Sequence[Planned],
        device: Device,
        store: Store,
        session: str,
        folder: Path,
        *,
        seed: int,
        progress: Progress,
    ) -> None:
        self.members = [Member(each) for each in planned]
        self.device = device
        self.session = session
        self.folder = folder
        self.progress = progress
        self.lines: list[Line] = []
        self._store = store
        self._seed = seed

    def alive(self) -> list[Member]:
        """Return the members that have not failed."""
        return [member for member in self.members if member.failure is None]

    def write(self, line: Line) -> None:
        """Put a line into the store, before anything else is measured."""
        self._store.append(line)
        self.lines.append(line)

    def start(self, member: Member) -> RunnerSession:
        """Start a runner for `member`."""
        return self.device.start(member.configuration.runtime)

    def inputs(self, member: Member) -> tuple[Path, ...]:
        """Return files of this side with the inputs of `member`: equal ones hold equal noise."""
        tensors = member.planned.inputs
        words = "_".join("x".join([each.dtype, *map(str, each.shape)]) for each in tensors)
        folder = self.folder / f"inputs-{words}"
        if not folder.exists():
            folder.mkdir()
            write_noise(tensors, self._seed, folder)
        return tuple(folder / f"input-{index}" for index in range(len(tensors)))

    def load(self, member: Member, record: Record = "latency") -> Load:
        """Return the request to load `member`, whose files are on the device then."""
        configuration = member.configuration
        files = zip(member.planned.inputs, self.inputs(member), strict=True)
        return Load(
            artifact=self.device.place(member.artifact),
            threads=configuration.threads,
            cores=self.device.cores_of(configuration.cores) or None,
            compute=configuration.compute,
            inputs=tuple(
                Tensor(shape=each.shape, dtype=each.dtype, file=self.device.place(file))
                for each, file in files
            ),
            record=record,
        )

    @contextmanager
    def dropping(self, member: Member) -> Iterator[None]:
        """Note a failure, and measure this configuration no further."""
        try:
            yield
        except DeviceError as error:
            member.failure = self.fail(member, error)

    @contextmanager
    def noting(self, member: Member) -> Iterator[None]:
        """Note a failure of a pass that the latency does not need."""
        try:
            yield
        except DeviceError as error:
            self.fail(member, error)

    @contextmanager
    def connected(self) -> Iterator[None]:
        """Tell a device that is gone from one that failed: the one is waited for.

        Raises
        ------
        LostError
            What failed did so because the device is gone.
        """
        try:
            yield
        except DeviceError as error:
            self._raise_if_lost(error)
            raise

    def _raise_if_lost(self, error: DeviceError) -> None:
        if isinstance(error, LostError):
            raise error
        if self.device.is_lost:
            raise LostError("The connection to the device broke", why=str(error)) from error

    def fail(self, member: Member, error: DeviceError) -> Failure:
        """Note that `member` failed.

        Raises
        ------
        LostError
            It is not its fault: the device is gone.
        """
        self._raise_if_lost(error)
        failure = Failure(
            session=self.session,
            result=member.configuration.result,
            stage=error.stage if isinstance(error, RunnerError) else "device",
            error=str(error),
        )
        self.write(failure)
        return failure
