"""The grammar of model names: ``NAME[@SCALING][,OPTION=VALUE]...``.

A name says all that decides a network but its weights, so that a result, a manifest or a cached
file that carries it can be made again: ``vanillanet_5,act_num=4,resolution=128``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from lightmobile.errors import UsageError

__all__ = ["ModelName"]

Value: TypeAlias = bool | int | float | str | tuple[int, ...] | None

_INTEGERS = re.compile(r"-?\d+(x\d+)*")
_FLOAT = re.compile(r"-?\d+\.\d*(e-?\d+)?|-?\d+e-?\d+")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_CONSTANTS: dict[str, Value] = {"true": True, "false": False, "none": None}


@dataclass(frozen=True)
class ModelName:
    """A name, taken apart.

    Attributes
    ----------
    base
        What is before the options; of timm's, a user's function or an operator, with its prefix.
    options
        What the builder is called with.
    resolution
        Height and width in pixels, where the name says them: ``resolution=96`` or ``96x64``.
    training
        Whether ``training=true``: the training form is what is deployed, to show what fusing does.
    """

    base: str
    options: dict[str, Any] = field(default_factory=dict)
    resolution: tuple[int, int] | None = None
    training: bool = False

    @classmethod
    def parse(cls, name: str) -> ModelName:
        """Take `name` apart.

        Raises
        ------
        UsageError
            An option has no value, or one that is none.
        """
        base, *words = name.split(",")
        options: dict[str, Any] = {}
        for word in words:
            key, equals, text = word.partition("=")
            if not (equals and key.isidentifier()) or key in options:
                raise UsageError(
                    f"{word!r} is no option of a model's name",
                    fix="Write NAME,OPTION=VALUE, each option once: vanillanet_5,act_num=4",
                )
            options[key] = _value(key, text)
        resolution = options.pop("resolution", None)
        training = options.pop("training", False)
        if not isinstance(training, bool):
            raise UsageError(f"training={training} is neither true nor false")
        return cls(base, options, _size(resolution), training)


def _value(key: str, text: str) -> Value:
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGERS.fullmatch(text):
        numbers = tuple(int(part) for part in text.split("x"))
        return numbers if len(numbers) > 1 else numbers[0]
    if _FLOAT.fullmatch(text):
        return float(text)
    if _WORD.fullmatch(text):
        return text
    raise UsageError(
        f"{key}={text} has no value that an option can have",
        fix="Give a number, true, false, none, a word, or whole numbers such as 1x1x3x1",
    )


def _size(value: Value) -> tuple[int, int] | None:
    if value is None:
        return None
    match value:
        case int() if value > 0 and not isinstance(value, bool):
            return value, value
        case (int(height), int(width)) if height > 0 and width > 0:
            return height, width
    raise UsageError(f"resolution={value} is none", fix="Give pixels: resolution=96 or 96x64")
