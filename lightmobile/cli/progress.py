"""A live line per task on a terminal, plain lines elsewhere; always on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from lightmobile.cli.output import say

__all__ = ["Progress", "progress"]


SECONDS_BETWEEN = 10


class Progress(Protocol):
    """Told that `task` has entered `phase`."""

    def __call__(self, task: str, phase: str, /) -> None:
        """Note the change."""


@contextmanager
def progress() -> Iterator[Progress]:
    """Show what each task is doing, for as long as the block runs."""
    if sys.stderr.isatty():
        with _live() as report:
            yield report
    else:
        yield _Lines()


class _Lines:
    """One line for each phase: what a log file or a CI run wants."""

    def __init__(self) -> None:
        self.start = time.monotonic()
        self.last: dict[str, tuple[str, float]] = {}

    def __call__(self, task: str, phase: str, /) -> None:
        now = time.monotonic()
        phase_before, told = self.last.get(task, ("", 0.0))
        # A percentage moves on all the time; the rest is told as it comes.
        if phase == phase_before or (phase.endswith("%") and now - told < SECONDS_BETWEEN):
            return
        self.last[task] = (phase, now)
        say(f"[{now - self.start:6.1f} s] {task}: {phase}")


@contextmanager
def _live() -> Iterator[Progress]:
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress as Bars
    from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(finished_text="✓"), TextColumn("{task.description}"))
    with Bars(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as bars:
        tasks: dict[str, int] = {}

        def report(task: str, phase: str, /) -> None:
            if task not in tasks:
                tasks[task] = bars.add_task("", total=1)
            bars.update(tasks[task], description=f"{escape(task):<12} {escape(phase)}")  # type: ignore[arg-type]
            if phase in ("done", "cached"):
                bars.update(tasks[task], completed=1)  # type: ignore[arg-type]

        yield report
