"""The thermal gate, on conditions as a phone tells them one after another."""

from __future__ import annotations

import pytest

from lightmobile.device_bench.devices.android.gate import wait_until_cool
from lightmobile.device_bench.schema import Condition, Sensor
from lightmobile.errors import DeviceError

SKIN = {"skin": Sensor(type="skin", celsius=30.0), "BIG": Sensor(type="cpu", celsius=80.0)}
HOT_SKIN = {"skin": Sensor(type="skin", celsius=39.5)}


def _silent(task: str, how: str) -> None:
    pass


class Phone:
    """Fares as `conditions` say, one reading after another, then as the last."""

    def __init__(self, *conditions: Condition) -> None:
        self.conditions = list(conditions)
        self.readings = 0

    def read(self) -> Condition:
        self.readings += 1
        return self.conditions.pop(0) if len(self.conditions) > 1 else self.conditions[0]


COOL = Condition(thermal_status=0, sensors=SKIN, battery_celsius=31.0)
HOT = Condition(thermal_status=0, sensors=HOT_SKIN)


@pytest.mark.parametrize(
    ("conditions", "outcome", "readings"),
    [
        ([COOL], "cool", 1),
        ([HOT, HOT, COOL], "cool", 3),
        ([Condition(thermal_status=2, sensors=SKIN), COOL], "cool", 2),
        ([Condition(thermal_status=0, battery_celsius=45.0), COOL], "cool", 2),
        # Android 8 and 9 have no thermal service: the battery is what there is.
        ([Condition(battery_celsius=30.0)], "cool", 1),
        ([Condition(thermal_status=0)], "cool", 1),
        # A held battery does not matter where the skin tells.
        ([Condition(thermal_status=0, sensors=SKIN, battery_held=True)], "cool", 1),
        ([Condition()], "unreadable", 1),
        ([Condition(sensors={"BIG": Sensor(type="cpu", celsius=80.0)})], "unreadable", 1),
    ],
)
def test_how_a_wait_ends(conditions: list[Condition], outcome: str, readings: int) -> None:
    phone = Phone(*conditions)
    found = wait_until_cool(phone.read, _silent, poll_s=0.01)
    assert (found.outcome, phone.readings) == (outcome, readings)
    assert found.limit_celsius == 37.0


def test_a_phone_that_never_cools_is_given_up_and_said() -> None:
    said: list[tuple[str, str]] = []
    phone = Phone(Condition(thermal_status=3, sensors=HOT_SKIN))
    found = wait_until_cool(
        phone.read, lambda task, how: said.append((task, how)), timeout_s=0.2, poll_s=0.05
    )
    assert found.outcome == "timed out"
    assert 0.2 <= found.waited_s < 2
    assert 2 <= phone.readings <= 8
    assert said[0] == ("cooling", "39.5 °C, thermal status 3")


def test_held_readings_are_not_waited_for() -> None:
    with pytest.raises(DeviceError, match="frozen") as caught:
        wait_until_cool(Phone(Condition(battery_held=True)).read, _silent)
    assert "dumpsys battery reset" in caught.value.fix
