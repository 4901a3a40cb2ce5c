"""An Android phone as a device: native runners through ``adb shell``, on the CPU."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from lightmobile.device_bench.devices.android import condition, gate, identity, settings
from lightmobile.device_bench.devices.android.adb import Adb
from lightmobile.device_bench.devices.android.choice import choose
from lightmobile.device_bench.devices.android.clusters import cores_of
from lightmobile.device_bench.devices.android.run import TOGETHER_S, Run, finish_dead_runs
from lightmobile.device_bench.devices.android.shell import Shell
from lightmobile.device_bench.devices.android.workspace import Workspace
from lightmobile.device_bench.devices.device import Capability, Device
from lightmobile.errors import DeviceError, UsageError

if TYPE_CHECKING:
    from lightmobile.device_bench.bundle import Bundle
    from lightmobile.device_bench.schema import (
        Condition,
        Configuration,
        Cooling,
        DeviceIdentity,
        Summary,
    )
    from lightmobile.device_bench.session import RunnerSession

__all__ = ["AndroidPhone", "open_phone"]

_RUNNERS = {"executorch": "executorch_runner", "tflite": "litert_runner"}
_LOADER = "ld-linux-aarch64.so.1"
RECONNECT_PAUSE_S = 1.0

_ACCELERATED = (
    "not available through the shell runner, whose libraries are no Android ones: the app's job, "
    "or --litert-benchmark PATH"
)


class AndroidPhone(Device):
    """The phone that adb knows as `shell.serial`.

    To run something, use it in a ``with`` statement: entering makes it quiet, leaving ends its
    runners, restores its settings and removes what the run wrote.
    """

    #: How long a phone that was lost is waited for.
    reconnect_timeout_s: float = 120.0

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        said = shell.sections(identity.SCRIPTS, doing="tell what it is")
        self._identity = identity.parse_identity(shell.serial, said)
        self.emulated = self._identity.emulated
        self._workspace = Workspace(shell)
        self._run: Run | None = None
        self._benchmark_model: Path | None = None
        #: What was changed on it for the run, and what it refused.
        self.changes: list[settings.Change] = []

    def __enter__(self) -> Self:
        identity.check_usable(self._identity)
        self._begin()
        return self

    def _begin(self) -> None:
        finish_dead_runs(self._shell)
        self._workspace = Workspace(self._shell)
        self._workspace.remove_unused()
        self._run = Run(self._shell)
        try:
            self.changes = settings.change(
                self._shell, settings.QUIET, self._sdk, self._run.journal
            )
        except BaseException:
            run, self._run = self._run, None
            run.finish()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._run is not None:
            run, self._run = self._run, None
            run.finish()

    @property
    def cores(self) -> int:
        """Every core: Android's shell may run on all of them."""
        return self._identity.logical_cores or 1

    def capabilities(self) -> tuple[Capability, ...]:
        """Return ExecuTorch and LiteRT on the CPU, and why not elsewhere."""
        return tuple(
            Capability(runtime, compute, self._why_not(runtime, compute))
            for runtime in (*_RUNNERS, "coreml")
            for compute in ("cpu", "gpu", "npu")
        )

    def _why_not(self, runtime: str, compute: str) -> str | None:
        if runtime == "coreml":
            return "needs an Apple device"
        by_program = self._benchmark_model is not None
        if by_program and runtime != "tflite":
            return "benchmark_model runs .tflite files"
        if compute != "cpu" and not (by_program and compute == "gpu"):
            return _ACCELERATED
        try:
            identity.check_usable(self._identity)
            if not by_program:
                self._bundle  # noqa: B018 - is there one?
        except DeviceError as error:
            return str(error)
        return None

    def why_not_artifact(self, runtime: str, versions: Mapping[str, str]) -> str | None:
        """Return why an artifact cannot run: of ExecuTorch's, one of another version."""
        exported = versions.get("executorch")
        if runtime != "executorch" or exported is None:
            return None
        here = self._bundle.versions.get("executorch")
        if exported == here:
            return None
        return (
            f"it was exported with {runtime} {exported}, and the phone's runners have {here}: "
            "export it again, or build runners of that version"
        )

    def identity(self) -> DeviceIdentity:
        """Return what the phone told when it was opened."""
        return self._identity

    def condition(self) -> Condition:
        """Return heat, battery and clocks, in one round trip."""
        return condition.parse_condition(
            self._shell.sections(condition.SCRIPTS, doing="tell how it fares")
        )

    def wait_until_cool(
        self,
        progress: Callable[[str, str], None],
        *,
        limit_celsius: float = gate.LIMIT_CELSIUS,
        timeout_s: float = gate.TIMEOUT_S,
        poll_s: float = gate.POLL_S,
    ) -> Cooling:
        """Wait until it is cool: see :func:`.gate.wait_until_cool`."""
        return gate.wait_until_cool(
            self.condition,
            progress=progress,
            limit_celsius=limit_celsius,
            timeout_s=timeout_s,
            poll_s=poll_s,
        )

    def cores_of(self, kind: str | None) -> tuple[int, ...] | None:
        """Return the cores that ``big``, ``mid``, ``little`` or ``all`` means here."""
        return None if kind is None else cores_of(kind, self._identity.clusters)

    def fix_clocks(self) -> None:
        """Fix its clocks until the run ends: see :func:`.settings.fix_clocks`."""
        settings.fix_clocks(self._shell, self._sdk, self._held.journal)

    def start(self, runtime: str) -> RunnerSession:
        """Start the runner of `runtime`, with its own libraries, in their folder."""
        from lightmobile.device_bench.devices.android.phone_session import PhoneSession

        run = self._held
        folder = self._workspace.place_bundle(self._bundle.files, self._bundle.content_hash)
        words = [f"{folder}/{_LOADER}", "--library-path", folder, f"{folder}/{_RUNNERS[runtime]}"]
        script = f"cd {folder} && unset LD_PRELOAD LD_LIBRARY_PATH && exec {shlex.join(words)}"
        return PhoneSession(self._shell, run, script)

    def place(self, file: Path) -> str:
        """Return the path of `file` on the phone; it is pushed unless it is there already."""
        return self._workspace.place_file(file)

    def scratch(self, name: str) -> str:
        """Return the path on the phone of a file of this run; of its folder, where `name` is ""."""
        return f"{self._held.folder}/{name}".rstrip("/")

    def fetch(self, path: str, file: Path) -> None:
        """Copy what a runner wrote at `path` to `file`."""
        self._shell.pull(path, file)

    def run_program(self, script: str, *, timeout_s: float) -> str:
        """Return what `script` printed, which ends in an exec; it ends with the run at the latest.

        Raises
        ------
        DeviceError
            It failed, or took longer than `timeout_s`.
        """
        # In a shell of its own, whose number is the program's after the exec.
        own = f"sh -c {shlex.quote(self._held.as_runner(script))}"
        return self._shell.run(own, timeout_s=timeout_s, doing="run it")

    def use_benchmark_model(self, program: Path) -> None:
        """Let LiteRT's own `program`, of this machine, measure ``.tflite`` files."""
        if not program.is_file():
            raise UsageError(
                f"There is no program {program}", fix="Give the path of benchmark_model"
            )
        self._benchmark_model = program

    def run_benchmark_model(
        self, artifact: Path, configuration: Configuration, session: str
    ) -> Summary:
        """Return what it says of its runs: see :mod:`.litert_benchmark`."""
        from lightmobile.device_bench.devices.android.litert_benchmark import run_benchmark_model

        assert self._benchmark_model is not None  # noqa: S101 - for the type checker
        program = self._benchmark_model
        return run_benchmark_model(self, program, artifact, configuration, session)

    @property
    def is_lost(self) -> bool:
        """Whether the connection broke since the run began, so that the phone has ended it."""
        return self._run is not None and self._run.is_lost_within(TOGETHER_S)

    def reconnect(self) -> None:
        """Wait for a phone that was lost, and begin a new run on it.

        Its processes and what they wrote are gone; files that were placed are still there.

        Raises
        ------
        DeviceError
            It did not come back within :attr:`reconnect_timeout_s`.
        """
        if self._run is not None:
            run, self._run = self._run, None
            run.abandon()
        deadline = time.monotonic() + self.reconnect_timeout_s
        while True:
            try:
                choose(self._shell.adb.phones(), self._shell.serial)
                break
            except DeviceError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(RECONNECT_PAUSE_S)
        self._begin()

    @cached_property
    def _bundle(self) -> Bundle:
        from lightmobile.device_bench.bundle import find_bundle

        return find_bundle()

    @property
    def _held(self) -> Run:
        if self._run is None:
            raise DeviceError(f"{self._shell.serial} was not entered", fix="Use `with device:`")
        return self._run

    @property
    def _sdk(self) -> int:
        return self._identity.sdk or 0


def open_phone(which: str | None = None) -> AndroidPhone:
    """Return the phone with the serial `which`, or the only one.

    Raises
    ------
    DeviceError
        There is no such phone, several, or it does not answer.
    """
    adb = Adb()
    phone = choose(adb.phones(), which)
    return AndroidPhone(Shell(adb, phone.serial))
