"""``lightmobile devices``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lightmobile.cli.output import Column, as_json, megabytes, print_json, print_table, say

if TYPE_CHECKING:
    from lightmobile.device_bench.devices.survey import Surveyed

__all__ = ["devices"]


@click.command()
@click.option(
    "--restore",
    is_flag=True,
    help="End what runs of lightmobile left on phones, also those under way, and their settings.",
)
@as_json
def devices(restore: bool, json_: bool) -> None:
    """List this machine and every phone that adb sees: what each can run, and why not."""
    from lightmobile.device_bench.devices.survey import restore_phones, survey

    if restore:
        ended = restore_phones()
        if json_:
            print_json({"ended": ended})
            return
        for device, count in ended.items():
            click.echo(f"{device}: {count} runs ended")
        if not ended:
            say("adb sees no phone that can be used")
        return
    found = survey()
    if json_:
        print_json({"devices": [each.to_dict() for each in found]})
        return
    print_table(
        [
            Column("device", lambda each: each.device),
            Column("state", lambda each: each.state),
            Column("what it is", _what),
            Column("processor", _processor),
            Column("memory", lambda each: megabytes(each.identity and each.identity.memory_bytes)),
            Column("runs", _runs),
        ],
        found,
    )
    if len(found) == 1:
        say("adb sees no phone: connect one, and switch on USB debugging in its developer options")
    for each in found:
        for line in _why_not(each):
            say(f"{each.device}: {line}")


def _what(each: Surveyed) -> str:
    if (identity := each.identity) is None:
        return "-"
    name = " ".join(part for part in (identity.manufacturer, identity.model) if part)
    system = f"{identity.system} {identity.os_version or identity.release}"
    emulated = "EMULATED" if identity.emulated else ""
    return ", ".join(part for part in (name, system, emulated) if part)


def _processor(each: Surveyed) -> str:
    if (identity := each.identity) is None:
        return "-"
    return ": ".join(part for part in (identity.soc, identity.processor) if part)


def _runs(each: Surveyed) -> str:
    able = [f"{one.runtime} {one.compute}" for one in each.capabilities if one.why_not is None]
    return ", ".join(able) or "-"


def _why_not(each: Surveyed) -> list[str]:
    if each.why_not:
        return [f"{each.why_not}. {each.fix}" if each.fix else each.why_not]
    units: dict[tuple[str, str], list[str]] = {}
    for one in each.capabilities:
        if one.why_not is not None:
            units.setdefault((one.runtime, one.why_not), []).append(one.compute)
    return [f"{runtime} {'/'.join(them)}: {why}" for (runtime, why), them in units.items()]
