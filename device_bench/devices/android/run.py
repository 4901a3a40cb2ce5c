"""One run on a phone: its folder, its guard, and how it ends.

``/data/local/tmp/lightmobile/runs/<random>/`` holds what the run writes, and of itself: ``guard``,
the number of the process that holds it, ``runners``, those of its runners, and ``restore``, lines
of shell that restore what was set.

The guard is a shell on the phone that waits for its standard input to end: because this process
closed it, or died, or because the phone was pulled out (adbd then hangs the shell up, which
ignores that, and closes its input). Then it ends the runners, restores the settings and removes
the folder. So the phone tidies itself up, with a host or without. A run whose guard is gone, since
the battery died, is finished when the phone is next used.
"""

from __future__ import annotations

import secrets
import subprocess
import threading
import time
import warnings
from contextlib import suppress

from lightmobile.device_bench.devices.android.shell import PhoneLostError, Shell, retried
from lightmobile.device_bench.devices.android.workspace import ROOT
from lightmobile.errors import DeviceError, LightmobileWarning

__all__ = ["TOGETHER_S", "InUseError", "Run", "UnrestoredWarning", "finish_dead_runs"]

TIMEOUT_S = 30.0
# When a phone is pulled out, adb ends every command within some milliseconds of the others.
TOGETHER_S = 0.5
RESTORE_TIMEOUT_S = 5  # of one setting, on the phone
ATTEMPTS = 5
PAUSE_S = 1.0

# A process is one of ours only if its command line says so, for numbers are used again. Where a
# setting cannot be restored the run stays, and the next use of the phone tries again.
_SCRIPT = f"""
is_ours() {{ [ -n "$1" ] && tr '\\0' ' ' < "/proc/$1/cmdline" 2>/dev/null | grep -q {ROOT}/; }}
restore() {{ timeout {RESTORE_TIMEOUT_S} sh -c "$1" </dev/null >/dev/null 2>&1; }}
finish() {{
  for pid in $(cat "$1/runners" 2>/dev/null); do
    if is_ours "$pid"; then kill -9 "$pid" 2>/dev/null; fi
  done
  left=0
  if [ -f "$1/restore" ]; then
    while IFS= read -r line; do
      restore "$line" || restore "$line" || left=1
    done < "$1/restore"
  fi
  if [ "$left" = 0 ]; then rm -rf "$1"; else rm -f "$1/guard"; fi
  return "$left"
}}
"""


class InUseError(DeviceError):
    """Another run of lightmobile holds the phone."""


class UnrestoredWarning(LightmobileWarning):
    """The phone could not be asked to restore its settings; it does so itself, or next time."""


class Run:
    """A run that is under way on a phone, from its construction to :meth:`finish`.

    Raises
    ------
    DeviceError
        The phone does not let it begin.
    """

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        #: The run's folder on the phone.
        self.folder = f"{ROOT}/runs/{secrets.token_hex(8)}"
        script = (
            f"{_SCRIPT}\ntrap '' HUP INT TERM\n"
            f"mkdir -p {self.folder} && echo $$ > {self.folder}/guard || exit\n"
            "echo ready\nwhile read -r _; do :; done\n"
            f"if finish {self.folder}; then echo finished; else echo left; fi"
        )
        # Out of the terminal's process group, so that Ctrl-C reaches this process only.
        self._guard = subprocess.Popen(
            shell.command(script),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            said = self._read(line=True)
        except BaseException:
            self._end()
            raise
        if said != "ready\n":
            self._end()
            raise PhoneLostError(
                f"{shell.serial} does not let a run begin",
                why=said.strip() or "The connection broke",
                fix=f"Check that the phone's shell may write below {ROOT}",
            )

    @property
    def journal(self) -> str:
        """The file of lines of shell that restore settings, on the phone."""
        return f"{self.folder}/restore"

    def is_lost_within(self, seconds: float) -> bool:
        """Return whether the phone was lost since the run began, or is within `seconds`."""
        with suppress(subprocess.TimeoutExpired):
            self._guard.wait(seconds)
        return self._guard.poll() is not None

    def as_runner(self, script: str) -> str:
        """Return `script`, which ends in an ``exec``, as the script of a runner of this run."""
        return f"echo $$ >> {self.folder}/runners || exit\n{script}"

    def finish(self) -> None:
        """End the runners, restore the settings, remove the folder.

        Where the phone is gone, it does so itself; a `UnrestoredWarning` says so where settings
        could not be seen to be restored.
        """
        if self._guard.stdin is None or self._guard.stdin.closed:
            return
        try:
            with suppress(OSError):
                self._guard.stdin.close()
            said = self._read(line=False).split()
        finally:
            self._end()
        if "finished" in said:
            return
        why = "it refuses the commands"
        if "left" not in said:
            try:
                _finish_dead_runs(self._shell, force=False)
            except DeviceError as error:
                why = error.what
            else:
                return
        warnings.warn(
            f"{self._shell.serial} was not seen to restore its settings: {why}. It does so by "
            "itself once it notices, or with `lightmobile devices --restore`",
            UnrestoredWarning,
            stacklevel=2,
        )

    def abandon(self) -> None:
        """Let go of a run on a phone that was lost, which ends it by itself."""
        self._end()

    def _read(self, *, line: bool) -> str:
        """Return what the guard says, the next line or all; nothing where it takes too long."""
        assert self._guard.stdout is not None  # noqa: S101 - for the type checker
        timer = threading.Timer(TIMEOUT_S, self._guard.kill)
        timer.start()
        try:
            said = self._guard.stdout.readline(1000) if line else self._guard.stdout.read(1000)
        finally:
            timer.cancel()
        return said.decode(errors="replace")

    def _end(self) -> None:
        self._guard.kill()
        self._guard.wait()
        for pipe in (self._guard.stdin, self._guard.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()


def finish_dead_runs(shell: Shell, *, force: bool = False) -> int:
    """Finish the runs on a phone whose guard is gone; return how many there were.

    A guard that is just finishing its run is waited for.

    Parameters
    ----------
    force
        End those under way too.

    Raises
    ------
    DeviceError
        A run is under way (without `force`), or a setting still cannot be restored.
    """
    for _ in range(ATTEMPTS - 1):
        with suppress(InUseError):
            return retried(lambda: _finish_dead_runs(shell, force=force))
        time.sleep(PAUSE_S)
    return _finish_dead_runs(shell, force=force)


def _finish_dead_runs(shell: Shell, *, force: bool) -> int:
    if_held = 'kill -9 "$guard"' if force else 'echo "busy $run"; continue'
    said = shell.run(
        f"{_SCRIPT}\nmkdir -p {ROOT}/runs {ROOT}/files && cd {ROOT}/runs || exit\n"
        "for run in *; do\n"
        '  [ -d "$run" ] || continue\n'
        '  guard=$(cat "$run/guard" 2>/dev/null)\n'
        f'  if is_ours "$guard"; then {if_held}; fi\n'
        f'  if finish "{ROOT}/runs/$run"; then echo "finished $run"; else echo "left $run"; fi\n'
        "done",
        timeout_s=TIMEOUT_S,
        doing=f"make its folder {ROOT}",
    )
    words = [line.split()[0] for line in said.splitlines() if line.strip()]
    if "busy" in words:
        raise InUseError(
            f"{shell.serial} is in use by another run of lightmobile",
            why="Two at once would measure each other",
            fix="Wait for it, or end it with `lightmobile devices --restore`",
        )
    if "left" in words:
        raise DeviceError(
            f"{shell.serial} still has settings of an earlier run that cannot be restored",
            why="The phone refuses the commands that restore them",
            fix=f"They are in {ROOT}/runs/*/restore; run them, and remove that folder",
        )
    return words.count("finished")
