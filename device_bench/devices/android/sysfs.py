"""What small files below ``/sys`` say of the cores: one process reads all of them."""

from __future__ import annotations

import re

__all__ = ["CORES", "by_core", "grep", "megahertz"]

#: Where the files of the cores lie.
CORES = "/sys/devices/system/cpu"

_LINE = re.compile(r"^(?:\./)?cpu(\d{1,4})/cpufreq/(\w+):(.*)$", re.MULTILINE)


def grep(*names: str) -> str:
    """Return a script that prints the files `names` of every core's ``cpufreq`` folder."""
    files = " ".join(f"cpu[0-9]*/cpufreq/{name}" for name in names)
    return f"cd {CORES} && grep -Hs . {files}"


def by_core(text: str, name: str) -> dict[int, str]:
    """Return what the file `name` of each core says, in the order of the cores."""
    found = {int(core): value.strip() for core, file, value in _LINE.findall(text) if file == name}
    return dict(sorted(found.items()))


def megahertz(texts: dict[int, str]) -> dict[int, float]:
    """Return kilohertz as written below ``/sys`` in megahertz; what is no number is left out."""
    return {
        core: int(text) / 1000 for core, text in texts.items() if re.fullmatch(r"[0-9]{1,9}", text)
    }
