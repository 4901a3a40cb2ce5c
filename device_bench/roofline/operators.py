"""The operators that `lightmobile bench-ops` measures, and what the paper says of them."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any

from lightmobile.errors import UsageError
from lightmobile.models.names import ModelName
from lightmobile.models.operators import KINDS
from lightmobile.plugins import suggest

__all__ = [
    "OPERATORS",
    "PAPER_SIZES",
    "operator_name",
    "operator_names",
    "paper_figures",
    "size_of",
    "title_of",
]

PAPER_SIZES = ((96, 56), (192, 28), (384, 14), (768, 7))
"""Channels, and height and width, of the paper's Table 1."""

OPERATORS = {
    "conv": ("conv", "", 1),
    "gconv": ("gconv", "", 1),
    "dwconv": ("dwconv", "", 1),
    # The paper's remedy for what a depthwise convolution does not see: six times the width, as in
    # MobileNetV2's block.
    "dwconv_wide": ("dwconv", "", 6),
    "pconv": ("pconv", "", 1),
    "pwconv": ("pwconv", "", 1),
    "pconv_pwconv": ("pconv_pwconv", "", 1),
    "pconv_pwconv_t": ("pconv_pwconv", ",form=t_shaped", 1),
    "dwconv_pwconv": ("dwconv_pwconv", "", 1),
    "hetconv": ("hetconv", "", 1),
    "sf_conv": ("sf_conv", "", 1),
    "series_activation": ("series_activation", "", 1),
}
"""What can be asked for: a kind of `lightmobile.models.operators`, options, and times the width."""

_SUFFIXES = {"form=t_shaped": ", T-shaped", "form=dense": ", dense", "form=split_cat": ", split"}


def operator_names(
    operators: Sequence[str], sizes: Sequence[tuple[int, int]], layers: int
) -> list[str]:
    """Return the models' names, all operators of a size next to each other.

    Raises
    ------
    UsageError
        There is no such operator.
    """
    for operator in operators:
        if operator not in OPERATORS:
            raise UsageError(
                f"There is no operator {operator!r}", fix=f"Use {suggest(operator, OPERATORS)}"
            )
    return [operator_name(operator, size, layers) for size in sizes for operator in operators]


def operator_name(operator: str, size: tuple[int, int], layers: int) -> str:
    """Return the model's name of one of `OPERATORS` at a size, channels and side."""
    kind, options, times = OPERATORS[operator]
    return f"op:{kind},channels={size[0] * times},size={size[1]},layers={layers}{options}"


def title_of(model: str) -> str:
    """Return what a table calls an operator: ``PConv + PWConv, T-shaped``."""
    parsed = ModelName.parse(model)
    kind = parsed.base.removeprefix("op:")
    if kind not in KINDS:
        return model
    title = KINDS[kind].title
    for key in KINDS[kind].options:
        if key in parsed.options:
            word = f"{key}={parsed.options[key]}"
            title += _SUFFIXES.get(word, f", {word}")
    return title


def size_of(model: str) -> str:
    """Return the size of an operator as the paper writes it: ``96x56x56``."""
    options = ModelName.parse(model).options
    size = options.get("size", 56)
    height, width = size if isinstance(size, tuple) else (size, size)
    return f"{options.get('channels', 96)}x{height}x{width}"


def paper_figures(model: str) -> dict[str, float]:
    """Return what the paper's author measured of an operator; empty where nothing is known."""
    parsed = ModelName.parse(model)
    options = dict(parsed.options)
    channels, size = options.pop("channels", 96), options.pop("size", 56)
    if options.pop("layers", 10) != 10 or options:
        return {}
    known: dict[str, float] = (
        _paper().get(parsed.base.removeprefix("op:"), {}).get(f"{channels}x{size}", {})
    )
    return known


@cache
def _paper() -> dict[str, Any]:
    file = resources.files("lightmobile.device_bench.roofline") / "paper.toml"
    return tomllib.loads(file.read_text("utf-8"))
