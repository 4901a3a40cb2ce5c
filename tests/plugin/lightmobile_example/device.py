"""A second name for this machine, whose times are declared emulated."""

from lightmobile.device_bench.devices.host import HostDevice


class Twin(HostDevice):
    """The host again; `which` has to be left out, or is any word."""

    emulated = True


def open_twin(which: str | None) -> Twin:
    return Twin()
