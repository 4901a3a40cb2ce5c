"""What every test of a phone looks at: that nothing is left on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.phone.phone import Phone

__all__ = ["left_as_it_was", "plug_in", "runs"]

PATIENCE_S = 20.0  # a busy machine's


def runs(phone: Phone) -> list[str]:
    """Return what runs have left, or have now, on a phone."""
    return [each for each in phone.files() if each.startswith("lightmobile/runs/")]


@contextmanager
def left_as_it_was(phone: Phone, hung: str = "") -> Iterator[None]:
    """Check that a phone ends as it began: its settings, its processes, no run.

    A program of the phone's system that is `hung` is not ours to end.
    """
    before = phone.state()
    yield
    phone.wait_until(lambda: phone.state() == before, PATIENCE_S)
    phone.wait_until(lambda: not runs(phone), PATIENCE_S)
    phone.wait_until(
        lambda: all(hung and hung in " ".join(e) for e in phone.processes()), PATIENCE_S
    )


def plug_in(phone: Phone) -> None:
    """Plug a phone in, unless it is, and wait until adb has noticed."""
    phone.plug()
    phone.wait_until(lambda: phone.server.devices().get(phone.serial) == "device", 10.0)
