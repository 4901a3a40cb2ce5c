"""Compound scaling: Dollár, Singh, Girshick, "Fast and Accurate Model Scaling".

CVPR 2021, arXiv:2103.06877; names, weights and rounding are those of the authors' tool,
https://github.com/facebookresearch/pycls. A scaled network has a name, ``BASE@STRATEGY:SCALE``,
such as ``regnety_400mf@dWr:8``, and no weights of its own.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from lightmobile.errors import UsageError

__all__ = ["STRATEGIES", "UNSCALED", "Candidate", "Factors", "Scaling", "Strategy", "candidates"]

# The paper's simple strategies, its uniform compound one, and its fast one. Groups grow with the
# width, which the tool's plain "w" and "dwr" leave out.
STRATEGIES = ("d", "w1_g1", "r", "d1_w1_g1_r1", "dWr")

_WEIGHT = r"[0-9]{1,4}(\.[0-9]{1,4})?"
_SCALES = 0.01, 1000.0
_MOST_BLOCKS = 1000
_MOST_CHANNELS = 16384
_PIXELS = 32, 2048
_NEAR = 0.01
_MOST_TRIES = 6


@dataclass(frozen=True)
class Factors:
    """What each dimension of a network is multiplied by; ``depth (width resolution)^2 = scale``."""

    depth: float = 1.0
    width: float = 1.0
    group: float = 1.0
    resolution: float = 1.0

    def depths(self, depths: Iterable[int]) -> list[int]:
        """Scale the blocks of each stage."""
        scaled = [max(1, round(depth * self.depth)) for depth in depths]
        _check("blocks", sum(scaled), 1, _MOST_BLOCKS)
        return scaled

    def widths(self, widths: Iterable[int]) -> list[int]:
        """Scale numbers of channels, to multiples of 8."""
        scaled = [max(1, round(width * self.width / 8)) * 8 for width in widths]
        _check("channels", max(scaled), 1, _MOST_CHANNELS)
        return scaled

    def group_widths(self, widths: Iterable[int]) -> list[int]:
        """Scale the channels of a group: to 1, 2, 4, or a multiple of 8."""
        scaled = [max(1, round(width * self.group)) for width in widths]
        return [g if g <= 2 else 4 if g <= 5 else round(g / 8) * 8 for g in scaled]

    def input_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Scale a height and a width in pixels, to multiples of 4."""
        height, width = (round(side * self.resolution / 4) * 4 for side in size)
        for side in (height, width):
            _check("pixels", side, *_PIXELS)
        return height, width


UNSCALED = Factors()


def _check(unit: str, count: int, least: int, most: int) -> None:
    if not least <= count <= most:
        raise UsageError(
            f"A network of {count:,} {unit} is out of reach",
            why=f"Scaling may lead to {least:,} to {most:,} {unit}",
            fix="Give a scale nearer to 1, or another strategy",
        )


@dataclass(frozen=True)
class Strategy:
    """How a scale is shared between depth, width and resolution, and how groups follow.

    Attributes
    ----------
    d, w, g, r
        Weights of depth, width, group width and resolution, in lowest terms; d + w + r > 0.
    """

    d: int
    w: int
    g: int
    r: int

    @classmethod
    def parse(cls, text: str) -> Strategy:
        """Read a strategy: ``dWr``; ``a0.8``, an alpha; ``dw``, letters; ``d1_w8_g8_r1``, weights.

        Letters weigh 1, what is not named weighs 0. An alpha means d = r = 1 - alpha and
        w = g = 2 alpha, so that 1/3 is the uniform compound scaling and 1 scales width alone.

        Raises
        ------
        UsageError
            It is none of these, or scales nothing.
        """
        weights = _weights(text)
        d, w, g, r = (weights.get(letter, Fraction(0)) for letter in "dwgr")
        if d + w + r == 0:
            raise _bad_strategy(text, "It scales neither depth, width nor resolution")
        unit = Fraction(
            math.gcd(*(weight.numerator for weight in (d, w, g, r))),
            math.lcm(*(weight.denominator for weight in (d, w, g, r))),
        )
        return cls(*(int(weight / unit) for weight in (d, w, g, r)))

    def __str__(self) -> str:
        weights = zip("dwgr", (self.d, self.w, self.g, self.r), strict=True)
        return "_".join(f"{letter}{weight}" for letter, weight in weights if weight)

    def factors(self, scale: float) -> Factors:
        """Return the factors that multiply a network's MACs by about `scale`."""
        total = self.d + self.w + self.r
        return Factors(
            depth=scale ** (self.d / total),
            width=scale ** (self.w / total / 2),
            group=scale ** (self.g / total / 2),
            resolution=scale ** (self.r / total / 2),
        )


def _weights(text: str) -> dict[str, Fraction]:
    """Return the weights that `text` names, by letter."""
    if text == "dWr":
        return {
            letter: Fraction(weight) for letter, weight in zip("dwgr", (1, 8, 8, 1), strict=True)
        }
    if re.fullmatch(f"a{_WEIGHT}", text):
        alpha = Fraction(text[1:])
        if alpha > 1:
            raise _bad_strategy(text, "An alpha above 1 would shrink depth and resolution")
        return {"d": 1 - alpha, "w": 2 * alpha, "g": 2 * alpha, "r": 1 - alpha}
    if re.fullmatch("[dwgr]+", text):
        parts = [letter + "1" for letter in text]
    elif re.fullmatch(f"[dwgr]{_WEIGHT}(_[dwgr]{_WEIGHT})*", text):
        parts = text.split("_")
    else:
        raise _bad_strategy(text)
    weights = {part[0]: Fraction(part[1:]) for part in parts}
    if len(weights) < len(parts):
        raise _bad_strategy(text, "It names a dimension twice")
    return weights


def _bad_strategy(text: str, why: str = "") -> UsageError:
    return UsageError(
        f"{text!r} is not a scaling strategy",
        why=why,
        fix="Give dWr (fast compound scaling), letters of d, w and r such as dwr, weights such "
        "as d1_w8_g8_r1, or an alpha from 0 to 1 such as a0.6",
    )


@dataclass(frozen=True)
class Scaling:
    """A strategy and how far it goes: the second half of a scaled network's name."""

    strategy: Strategy
    scale: float

    @classmethod
    def parse(cls, text: str) -> Scaling:
        """Read ``STRATEGY:SCALE``, such as ``dWr:8``.

        Raises
        ------
        UsageError
            It is malformed, or the scale is not a number within reach.
        """
        strategy, colon, scale = text.partition(":")
        if not colon:
            raise UsageError(
                f"{text!r} does not say how to scale",
                fix="A scaled network's name is BASE@STRATEGY:SCALE, such as regnety_400mf@dWr:8",
            )
        return cls(Strategy.parse(strategy), _scale(scale))

    @property
    def factors(self) -> Factors:
        """The factors of each dimension."""
        return self.strategy.factors(self.scale)

    @property
    def slug(self) -> str:
        """The same for every way to write it, and fit for a file's name: ``d1w8g8r1-s8``."""
        scale = repr(self.scale).removesuffix(".0").replace(".", "p")
        return f"{str(self.strategy).replace('_', '')}-s{scale}"


def _scale(text: str) -> float:
    least, most = _SCALES
    # float() alone would also take "1_0" and " 10".
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", text) or not least <= float(text) <= most:
        raise UsageError(
            f"{text!r} is not a scale",
            why=f"It multiplies the MACs, by {least:g} to {most:g}",
            fix="Give a number such as 8 or 2.5",
        )
    return float(text)


def fit_groups(
    widths: Sequence[int], expansion: int, group_widths: Sequence[int]
) -> tuple[list[int], list[int]]:
    """Adjust widths, such that groups of `group_widths` divide ``expansion * width``.

    Returns
    -------
    The widths and group widths of each stage.
    """
    hidden = [width * expansion for width in widths]
    groups = [min(group, width) for group, width in zip(group_widths, hidden, strict=True)]
    steps = [math.lcm(group, expansion) for group in groups]
    fitted = [
        max(step, round(width / step) * step) for width, step in zip(hidden, steps, strict=True)
    ]
    return [width // expansion for width in fitted], groups


@dataclass(frozen=True)
class Candidate:
    """One strategy's network near the MACs asked for, in its training form.

    Attributes
    ----------
    name
        What every command takes.
    depths, widths
        Blocks and channels of each stage.
    """

    name: str
    strategy: str
    scale: float
    macs: int
    params: int
    activations: int
    depths: tuple[int, ...]
    widths: tuple[int, ...]
    input_size: tuple[int, int]


def candidates(base: str, macs: float, strategies: Iterable[str] = STRATEGIES) -> list[Candidate]:
    """Scale `base` by each strategy to the MACs nearest to those asked for.

    Widths, depths and sizes are whole, so a network's MACs are not exactly scale times its
    base's. The scale is searched for, to three digits, until they are within a hundredth or come
    no nearer.

    Raises
    ------
    UsageError
        Unknown or unscalable model, bad strategy, or MACs out of reach.
    """
    from lightmobile.models import complexity

    if "@" in base:
        raise UsageError(f"{base!r} is scaled already", fix=f"Give {base.partition('@')[0]!r}")
    own = complexity(base).macs
    least, most = _SCALES
    if not least * own <= macs <= most * own:
        raise UsageError(
            f"{base} cannot be scaled to {macs:g} MACs",
            why=f"It has {own:,}, and a scale is between {least:g} and {most:g}",
            fix="Give a number of MACs such as 4e9",
        )
    return [_nearest(base, strategy, macs, macs / own) for strategy in strategies]


def _nearest(base: str, strategy: str, macs: float, scale: float) -> Candidate:
    import torch

    from lightmobile.models.cost import Complexity, complexity
    from lightmobile.models.registry import create_model, model_info

    tried: dict[str, Complexity] = {}
    while (
        len(tried) < _MOST_TRIES and (name := f"{base}@{strategy}:{_rounded(scale)}") not in tried
    ):
        tried[name] = complexity(name)
        ratio = macs / tried[name].macs
        if abs(ratio - 1) < _NEAR:
            break
        scale *= ratio
    name = min(tried, key=lambda name: abs(math.log(tried[name].macs / macs)))
    with torch.device("meta"):
        model: Any = create_model(name)
    return Candidate(
        name=name,
        strategy=strategy,
        scale=float(name.rpartition(":")[2]),
        macs=tried[name].macs,
        params=tried[name].params,
        activations=tried[name].activations,
        depths=model.depths,
        widths=model.widths,
        input_size=model_info(name).input_size,
    )


def _rounded(scale: float) -> str:
    """Write `scale` with three digits, in the form that `Scaling.parse` reads."""
    return f"{float(f'{scale:.3g}'):.12f}".rstrip("0").rstrip(".")
