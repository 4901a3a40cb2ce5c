"""The state of a phone's system, and the commands that read and change it."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.phone import dumps
from tests.phone.fixture import Fixture
from tests.phone.system import Answer

__all__ = ["Android"]

_UNKNOWN = 255  # -1, as `cmd` ends where a service does not know the words
_STAY_ON = {"false": 0, "ac": 1, "usb": 2, "wireless": 4, "dock": 8, "true": 7}
_BATTERY_KEYS = {
    "level": "level",
    "temp": "temperature_tenths",
    "status": "status",
    "counter": "charge_counter_uah",
}


class Android:
    """What the phone's system knows; every method may be called from any thread."""

    def __init__(self, fixture: Fixture) -> None:
        self._fixture = fixture
        self._lock = threading.RLock()
        self.properties = dict(fixture.properties)
        self.settings = copy.deepcopy(fixture.settings)
        self._battery = dict(fixture.battery)
        self._held: dict[str, Any] | None = dict(self._battery) if fixture.battery_held else None
        self._sensors = [{"status": 0, **each} for each in fixture.sensors]
        self._cached = copy.deepcopy(self._sensors)
        self._status = 0
        self._override: int | None = None
        self._steps: list[dict[str, float]] = []
        self._wakefulness = "Awake" if fixture.awake else "Asleep"
        self._idle = False
        self._fixed = False

    def answer(self, words: Sequence[str]) -> Answer:
        """Answer one of the phone's programs, e.g. ``["settings", "list", "global"]``."""
        program, arguments = words[0], list(words[1:])
        commands: dict[str, Callable[[list[str]], Answer]] = {
            "getprop": self._getprop,
            "setprop": self._setprop,
            "settings": self._settings_command,
            "dumpsys": self._dumpsys,
            "cmd": self._cmd,
            "svc": self._svc,
            "input": self._input,
            "wm": self._wm,
            "am": self._am,
            "pm": self._pm,
        }
        with self._lock:
            return commands[program](arguments)

    def heat(self, steps: list[dict[str, float]]) -> None:
        """Let each reading of the heat from now on take the next of `steps`; the last one stays.

        A step may have ``status``, ``skin`` and ``battery`` (degrees Celsius).
        """
        with self._lock:
            self._steps = list(steps)

    def state(self) -> dict[str, Any]:
        """Return all that can be set, for a test to compare before and after."""
        with self._lock:
            return {
                "settings": copy.deepcopy(self.settings),
                "properties": dict(self.properties),
                "wakefulness": self._wakefulness,
                "battery_held": self._held is not None,
                "thermal_overridden": self._override is not None,
                "idle": self._idle,
                "fixed_performance": self._fixed,
            }

    def _getprop(self, words: list[str]) -> Answer:
        if words:
            return Answer(self.properties.get(words[0], "".join(words[1:2])) + "\n")
        return Answer("".join(f"[{k}]: [{v}]\n" for k, v in sorted(self.properties.items())))

    def _setprop(self, words: list[str]) -> Answer:
        if len(words) != 2 or not words[0].startswith(("debug.", "log.", "persist.log.")):
            said = " ".join(words)
            return Answer("", f"setprop: failed to set property '{said}'\n", 1)
        self.properties[words[0]] = words[1]
        return Answer()

    def _settings_command(self, words: list[str]) -> Answer:
        if words[:1] == ["--user"]:
            words = words[2:]
        match words:
            case ["get", table, key] if table in self.settings:
                return Answer(self.settings[table].get(key, "null") + "\n")
            case ["list", table] if table in self.settings:
                return Answer("".join(f"{k}={v}\n" for k, v in self.settings[table].items()))
            case ["put" | "delete", *_] if not self._fixture.settings_writable:
                return Answer(
                    "",
                    "\nException occurred while executing 'put':\njava.lang.SecurityException: "
                    "Permission denial: writing to settings requires:"
                    "android.permission.WRITE_SECURE_SETTINGS\n",
                    _UNKNOWN,
                )
            case ["put", table, key, value] if table in self.settings:
                self.settings[table][key] = value
                return Answer()
            case ["delete", table, key] if table in self.settings:
                count = int(self.settings[table].pop(key, None) is not None)
                return Answer(f"Deleted {count} rows\n")
        return Answer("", f"Invalid command: {' '.join(words)}\n", _UNKNOWN)

    def _dumpsys(self, words: list[str]) -> Answer:
        if words[:1] == ["-t"]:
            words = words[2:]
        match words:
            case ["battery"]:
                if self._fixture.sdk < 29:
                    self._next_step()
                shown = self._battery if self._held is None else self._held
                held = self._held is not None
                extra = self._fixture.battery_extra
                return Answer(dumps.battery(self._fixture.sdk, shown, extra, held=held))
            case ["battery", *rest]:
                return self._battery_command(rest)
            case ["thermalservice"] if self._fixture.sdk >= 29:
                return self._thermal()
            case ["power"]:
                return Answer(dumps.power(self._power()))
            case ["window", *_]:
                return Answer(dumps.window(self._power()))
            case ["deviceidle", *rest]:
                return self._deviceidle(rest)
            case ["-l"]:
                names = ["battery", "deviceidle", "power", "window"]
                return Answer("Currently running services:\n" + "".join(f"  {n}\n" for n in names))
        return Answer("", f"Can't find service: {' '.join(words[:1])}\n")

    def _battery_command(self, words: list[str]) -> Answer:
        match words:
            case ["reset", *_]:
                self._held = None
            case ["unplug", *_]:
                self._held = {**(self._held or self._battery), "plugged": ""}
            case ["set", "ac" | "usb" | "wireless" | "dock" as plug, number]:
                plugged = plug if number != "0" else ""
                self._held = {**(self._held or self._battery), "plugged": plugged}
            case ["set", key, number] if key in _BATTERY_KEYS and number.lstrip("-").isdecimal():
                held = self._held or self._battery
                self._held = {**held, _BATTERY_KEYS[key]: int(number)}
            case ["suspend_input"] if self.properties.get("ro.debuggable") != "1":
                said = "battery suspend_input is only supported on debuggable builds"
                return Answer("", f"java.lang.SecurityException: {said}\n", _UNKNOWN)
            case _:
                return Answer("Dump current battery state, or:\n  set ...\n  unplug\n  reset\n")
        return Answer()

    def _thermal(self) -> Answer:
        self._next_step()
        state = {
            "hal": self._fixture.thermal_hal,
            "sensors": self._sensors,
            "cached": self._cached if self._fixture.thermal_cached else [],
            "cooling": self._fixture.cooling,
        }
        overridden = self._override is not None
        status = self._status if self._override is None else self._override
        return Answer(dumps.thermal(self._fixture.sdk, state, status, overridden=overridden))

    def _next_step(self) -> None:
        if not self._steps:
            return
        step = self._steps.pop(0)
        self._status = int(step.get("status", self._status))
        for sensor in self._sensors:
            word = {2: "battery", 3: "skin"}.get(sensor["type"])
            if word in step:
                sensor["celsius"] = step[word]
                sensor["status"] = self._status if word == "skin" else 0
        if "battery" in step:
            self._battery["temperature_tenths"] = round(10 * step["battery"])

    def _power(self) -> dict[str, Any]:
        stay_on = int(self.settings["global"].get("stay_on_while_plugged_in", "0") or 0)
        shown = self._battery if self._held is None else self._held
        return {
            "wakefulness": self._wakefulness,
            "plugged": shown["plugged"],
            "level": shown["level"],
            "stays_on": bool(stay_on & _STAY_ON.get(shown["plugged"] or "false", 0)),
            "idle": self._idle,
        }

    def _deviceidle(self, words: list[str]) -> Answer:
        match words:
            case ["force-idle", *_]:
                self._idle = True
                return Answer("Now forced in to deep idle mode\n")
            case ["unforce"]:
                self._idle = False
                return Answer("Light state: ACTIVE, deep state: ACTIVE\n")
            case ["get", "deep" | "light"]:
                return Answer("IDLE\n" if self._idle else "ACTIVE\n")
        return Answer("  Settings:\n  mForceIdle=" + ("true\n" if self._idle else "false\n"))

    def _cmd(self, words: list[str]) -> Answer:
        match words:
            case ["battery", *rest]:
                return self._battery_command(rest)
            case ["deviceidle", *rest]:
                return self._deviceidle(rest)
            case ["settings", *rest]:
                return self._settings_command(rest)
            case ["power", "set-fixed-performance-mode-enabled", "true" | "false" as word] if (
                self._fixture.sdk >= 30
            ):
                return self._fix_clocks(word == "true")
            case ["thermalservice", "override-status", number] if self._fixture.sdk >= 29:
                self._override = int(number)
                return Answer()
            case ["thermalservice", "reset"] if self._fixture.sdk >= 29:
                self._override = None
                return Answer()
            case ["power" | "thermalservice", *rest]:
                return Answer("", f"Unknown command: {' '.join(rest[:1])}\n", _UNKNOWN)
        return Answer("", f"cmd: Can't find service: {' '.join(words[:1])}\n", 20)

    def _fix_clocks(self, fixed: bool) -> Answer:
        if self._fixture.fixed_performance == "refuses":
            said = "java.lang.SecurityException: Neither user 2000 nor current process has"
            return Answer("", f"{said} android.permission.DEVICE_POWER.\n", _UNKNOWN)
        self._fixed = fixed
        if self._fixture.fixed_performance == "fixes":
            for core, cluster in enumerate(self._fixture.cluster_of_cores()):
                khz = cluster.fixed_khz if fixed else cluster.max_khz
                file = Path(f"/sys/devices/system/cpu/cpu{core}/cpufreq/scaling_max_freq")
                file.write_text(f"{khz}\n")
        return Answer()

    def _svc(self, words: list[str]) -> Answer:
        match words:
            case ["power", "stayon", word] if word in _STAY_ON:
                self.settings["global"]["stay_on_while_plugged_in"] = str(_STAY_ON[word])
                if word != "false":
                    self._wakefulness = "Awake"
                return Answer()
        return Answer("", "Available commands:\n    help\n    power\n", 1)

    def _input(self, words: list[str]) -> Answer:
        asleep = "Asleep" if self._wakefulness == "Awake" else "Awake"
        keys = {"WAKEUP": "Awake", "SLEEP": "Asleep", "POWER": asleep}
        names = {"224": "WAKEUP", "223": "SLEEP", "26": "POWER"}
        match words:
            case ["keyevent", *codes] if codes:
                for code in codes:
                    name = names.get(code, code.removeprefix("KEYCODE_"))
                    self._wakefulness = keys.get(name, self._wakefulness)
                return Answer()
        return Answer("", "Error: Invalid arguments for command\n", 1)

    def _wm(self, words: list[str]) -> Answer:
        said = {"size": "Physical size: 1080x2400\n", "density": "Physical density: 420\n"}
        return Answer(said.get(" ".join(words), ""))

    def _am(self, words: list[str]) -> Answer:
        return Answer("0\n") if words == ["get-current-user"] else Answer()

    def _pm(self, words: list[str]) -> Answer:
        if words[:2] == ["list", "packages"]:
            return Answer("package:android\npackage:com.android.shell\n")
        return Answer("", "", 1)
