"""A runner on a phone: a session through ``adb shell``, which tells a lost phone from a crash."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from lightmobile.device_bench.devices.android.run import TOGETHER_S
from lightmobile.device_bench.session import RunnerError, RunnerSession

if TYPE_CHECKING:
    from lightmobile.device_bench.devices.android.run import Run
    from lightmobile.device_bench.devices.android.shell import Shell

__all__ = ["PhoneSession"]


class PhoneSession(RunnerSession):
    """A runner of `run` on the phone of `shell`, started by `script`, which ends in an exec."""

    def __init__(self, shell: Shell, run: Run, script: str) -> None:
        self._serial = shell.serial
        self._run = run
        super().__init__(shell.command(run.as_runner(script)))

    def _raise_death(self, stage: str) -> NoReturn:
        if self._run.is_lost_within(TOGETHER_S):
            self.kill()
            raise RunnerError(
                stage,
                f"{self._serial} was lost",
                why="The connection to the phone broke, and it ended the run",
            )
        super()._raise_death(stage)
        raise AssertionError("unreachable")
