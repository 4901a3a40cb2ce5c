"""The lines that phones add to a store: read back as written, and shared without a serial."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from lightmobile.device_bench.anonymity import anonymized
from lightmobile.device_bench.schema import (
    Cluster,
    Condition,
    Cooling,
    DeviceIdentity,
    Line,
    Reading,
    Sensor,
    Summary,
    now,
    parse_line,
)
from tests.device_bench.lines import session

PHONE = DeviceIdentity(
    kind="android",
    serial="8A2X0KPJ",
    system="Android",
    machine="arm64",
    manufacturer="Google",
    model="Pixel 8",
    processor="4 Cortex-A510 + 4 Cortex-A715",
    clusters=(Cluster(cores=(0, 1, 2, 3), name="Cortex-A510", max_mhz=1704.0),),
    emulated=True,
)
READING = Reading(
    session="s",
    round=3,
    when="before",
    taken=now(),
    condition=Condition(
        thermal_status=0,
        sensors={"skin": Sensor(type="skin", celsius=31.4)},
        frequency_mhz=(300.0, None),
        plugged=("usb",),
        battery_percent=80.0,
    ),
    cooling=Cooling(outcome="timed out", waited_s=600.0, limit_celsius=37.0),
)
SUMMARY = Summary(
    session="s",
    result="r",
    program="benchmark_model",
    count=50,
    load_ns=1,
    first_ns=2,
    warm_up_mean_ns=3,
    mean_ns=4,
    std_ns=0,
)


@pytest.mark.parametrize("line", [session(device=PHONE), READING, SUMMARY], ids=lambda x: x.kind)
def test_a_line_reads_back_as_it_was(line: Line) -> None:
    assert parse_line(line.to_json()) == line


def test_what_is_shared_has_no_serial() -> None:
    shared = anonymized([session(device=PHONE), READING, SUMMARY])
    assert not any("8A2X0KPJ" in line.to_json() for line in shared)
    found, reading, summary = shared
    assert found.device.model == "Pixel 8"
    assert found.device.clusters == PHONE.clusters
    assert found.device.emulated
    assert reading.condition == READING.condition
    assert reading.cooling == READING.cooling
    assert (reading.when, summary.mean_ns) == ("before", 4)


@pytest.mark.parametrize(
    "change",
    [
        {"when": "during"},
        {"round": -1},
        {"condition": {"thermal_status": 7}},
        {"condition": {"battery_percent": 101}},
        {"condition": {"sensors": {"x": {"type": "skin", "celsius": 5000}}}},
        {"condition": {"frequency_mhz": [-1]}},
        {"cooling": {"outcome": "no", "waited_s": 1, "limit_celsius": 37}},
    ],
)
def test_a_reading_that_is_none(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        parse_line(json.dumps({**json.loads(READING.to_json()), **change}))
