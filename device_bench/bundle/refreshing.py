"""``lightmobile runners refresh``: Debian's archive drops a version when it has a newer one."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from lightmobile.device_bench.bundle.debian import Archive
from lightmobile.device_bench.bundle.pins import PINS, Pins, read_pins, write_pins
from lightmobile.device_bench.bundle.tools import check_tools
from lightmobile.device_bench.bundle.wheels import renewed
from lightmobile.errors import UsageError

__all__ = ["refresh_pins"]


def refresh_pins(file: Path | None, progress: Callable[[str, str], None]) -> Pins:
    """Pin what Debian's archive has now; write that into `file`, or into the checkout's pins.

    The wheels' versions stay, since the runners are written for them.

    Raises
    ------
    UsageError
        Something cannot be had, or there is neither a `file` nor a checkout.
    """
    if file is None and not (PINS.parents[2] / "pyproject.toml").is_file():
        raise UsageError(
            "The pins of an installed lightmobile are left as they are",
            fix="`lightmobile runners refresh --pins FILE`, and then "
            "`lightmobile runners build --pins FILE`",
        )
    file = file or PINS
    old = read_pins(file if file.exists() else PINS)
    check_tools(compiling=False)
    with tempfile.TemporaryDirectory(prefix="lightmobile-") as name:
        work = Path(name)
        progress("pins", "read Debian's lists")
        archive = Archive(work / "apt")
        debian = tuple(archive.pin(pin.package, pin.files) for pin in old.debian)
        progress("pins", "download the wheels")
        wheels = tuple(renewed(pin, work) for pin in old.wheel)
    pins = Pins(debian=debian, wheel=wheels)
    write_pins(pins, file)
    progress("pins", "done")
    return pins
