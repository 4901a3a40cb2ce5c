"""What is changed on a phone while it is measured: each with how to read, write and restore it.

Before anything is changed, the line of shell that restores it is written on the phone itself
(:mod:`.workspace`): the phone carries it out when the connection ends, however it ends, and what
even that could not (the battery died) is done when the phone is next used.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lightmobile.device_bench.devices.android import sysfs
from lightmobile.device_bench.devices.android.shell import RefusedError, Shell
from lightmobile.errors import DeviceError

__all__ = ["QUIET", "Change", "Operation", "change", "fix_clocks"]

# Of one setting; ours are numbers, and what is longer was not meant to be one.
_VALUE = re.compile(r"[ -~]{1,200}")


@dataclass(frozen=True)
class Operation:
    """One setting: scripts that read and write it, the value wanted, and why.

    Attributes
    ----------
    least_sdk
        Android's API level that has it.
    """

    name: str
    why: str
    read: str
    write: Callable[[str], str]
    wanted: str
    least_sdk: int = 26

    def is_available(self, sdk: int) -> bool:
        """Return whether Android of the API level `sdk` has the setting."""
        return sdk >= self.least_sdk


@dataclass(frozen=True)
class Change:
    """A setting that was looked at, and what became of it."""

    operation: Operation
    before: str
    after: str

    @property
    def is_as_wanted(self) -> bool:
        """Whether the phone now has what was asked for."""
        return self.after == self.operation.wanted


def _setting(table: str, key: str, wanted: str, why: str) -> Operation:
    def write(value: str) -> str:
        if value == "null":  # how Android writes: not set
            return f"settings delete {table} {key} >/dev/null"
        return f"settings put {table} {key} {shlex.quote(value)}"

    return Operation(key, why, f"settings get {table} {key}", write, wanted)


def _wake(state: str) -> str:
    return f"input keyevent KEYCODE_{'WAKEUP' if state == 'Awake' else 'SLEEP'}"


#: A phone that is left alone dims, sleeps and parks its fast cores.
QUIET: tuple[Operation, ...] = (
    _setting("global", "stay_on_while_plugged_in", "7", "a sleeping phone parks its fast cores"),
    _setting("system", "screen_off_timeout", "1800000", "the same, where it is not plugged in"),
    _setting("system", "screen_brightness_mode", "0", "a screen that adapts heats as it likes"),
    Operation(
        "screen",
        "a phone whose screen is off runs on its slow cores",
        "dumpsys power | grep -m1 mWakefulness= | sed 's/.*mWakefulness=//'",
        _wake,
        "Awake",
    ),
)

_FIXED_PERFORMANCE_SDK = 30  # Android 11


def change(shell: Shell, operations: Sequence[Operation], sdk: int, journal: str) -> list[Change]:
    """Set what is not yet as wanted, with how to restore it noted in the file `journal` first.

    Parameters
    ----------
    sdk
        The phone's API level.
    journal
        Path on the phone, of lines of shell that restore what it has now.

    Returns
    -------
    What became of each available operation; a phone may refuse one, e.g. where its maker lets no
    shell write settings.
    """
    operations = [each for each in operations if each.is_available(sdk)]
    before = _read(shell, operations)
    todo = [each for each in operations if before[each.name] != each.wanted]
    # A value that cannot be written back as it was is left alone.
    todo = [each for each in todo if _VALUE.fullmatch(before[each.name])]
    if todo:
        lines = []
        for each in todo:
            restore = shlex.quote(_restore(each, before[each.name]))
            lines.append(f"printf '%s\\n' {restore} >> {journal} || exit")
            lines.append(f"{{ {each.write(each.wanted)}; }} >/dev/null 2>&1")
        shell.run("\n".join([*lines, "true"]), doing="change its settings")
    after = _read(shell, operations) if todo else before
    return [Change(each, before[each.name], after[each.name]) for each in operations]


def _restore(operation: Operation, value: str) -> str:
    """Return a line that writes `value` back unless it is there, as where a phone refused ours."""
    quoted = shlex.quote(value)
    return f'[ "$({operation.read})" = {quoted} ] || {{ {operation.write(value)}; }}'


def _read(shell: Shell, operations: Sequence[Operation]) -> dict[str, str]:
    said = shell.sections({each.name: each.read for each in operations}, doing="tell its settings")
    return {name: text.strip() for name, text in said.items()}


def fix_clocks(shell: Shell, sdk: int, journal: str) -> None:
    """Ask the phone for clocks that it can keep, and see in its own limits that it did.

    Raises
    ------
    DeviceError
        It has no such mode, or its limits are what they were.
    """
    fix = "Leave --clocks out to measure it as shipped"
    serial = shell.serial
    if sdk < _FIXED_PERFORMANCE_SDK:
        raise DeviceError(
            f"{serial} cannot fix its clocks",
            why=f"That needs Android 11 (API {_FIXED_PERFORMANCE_SDK}), and it has API {sdk}",
            fix=fix,
        )
    before = _limits(shell)
    command = "cmd power set-fixed-performance-mode-enabled"
    try:
        shell.run(
            # Android does not tell whether it is on; off is what it starts with.
            f"echo '{command} false' >> {journal} || exit\n{command} true && exit\n"
            # Refused: what cannot be set cannot be restored either.
            f"status=$?; sed -i '$d' {journal}; exit $status",
            doing="fix its clocks",
        )
    except RefusedError as error:
        raise DeviceError(f"{serial} cannot fix its clocks", why=error.why, fix=fix) from None
    after = _limits(shell)
    if not after or after == before:
        raise DeviceError(
            f"{serial} did not fix its clocks",
            why="It took the command, and the limits of its cores' clocks are as before"
            if after
            else "It does not tell the limits of its cores' clocks, so that nothing shows it",
            fix=fix,
        )


def _limits(shell: Shell) -> dict[int, str]:
    """Return the lowest and highest frequency that each core may run at now."""
    text = shell.ask(sysfs.grep("scaling_min_freq", "scaling_max_freq") + "; true")
    lowest, highest = (sysfs.by_core(text, f"scaling_{each}_freq") for each in ("min", "max"))
    return {core: f"{lowest.get(core)}-{each}" for core, each in highest.items()}
