"""Operators as models: ``op:KIND[,OPTION=VALUE]...``, a stack of equal layers and nothing else.

That is how FasterNet's paper times operators (ten layers, one after another), so that they can be
exported, proved and measured as any network is: ``op:pconv,channels=96,size=56,layers=10``. The
layers themselves are in `lightmobile.models.operator_layers`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lightmobile.errors import UsageError
from lightmobile.models.names import ModelName
from lightmobile.models.preprocessing import Preprocessing
from lightmobile.plugins import suggest

if TYPE_CHECKING:
    from torch import nn

    from lightmobile.models.registry import ModelFacts

__all__ = ["KINDS", "Kind", "build", "facts", "is_operator", "names"]

_PREFIX = "op:"
_SIZES = {"channels": 96, "size": 56, "layers": 10}
_MOST = 2**16


@dataclass(frozen=True)
class Kind:
    """A kind of operator: what a table calls it, and its options beside the sizes."""

    title: str
    options: tuple[str, ...] = ()


KINDS = {
    "conv": Kind("Conv 3x3"),
    "gconv": Kind("GConv 3x3", ("groups",)),
    "dwconv": Kind("DWConv 3x3"),
    "pconv": Kind("PConv 3x3", ("n_div", "form")),
    "pwconv": Kind("PWConv 1x1"),
    "pconv_pwconv": Kind("PConv + PWConv", ("n_div", "form")),
    "dwconv_pwconv": Kind("DWConv + PWConv", ("widen",)),
    "gconv_pwconv": Kind("GConv + PWConv", ("groups",)),
    "hetconv": Kind("HetConv", ("p", "form")),
    "sf_conv": Kind("SF conv", ("reduction",)),
    "series_activation": Kind("Series activation", ("n",)),
    "add": Kind("Add"),
}
"""The kinds by name."""


def is_operator(name: str) -> bool:
    """Tell whether the model `name` is an operator."""
    return name.startswith(_PREFIX)


def names() -> list[str]:
    """Return the operators at their usual size, sorted."""
    return sorted(_PREFIX + kind for kind in KINDS)


def facts(name: str, parsed: ModelName) -> ModelFacts:
    """Return the facts of operator `name`.

    Raises
    ------
    UsageError
        There is no such operator, or it has no such option.
    """
    from lightmobile.models.registry import ModelFacts

    kind, options = _kind(parsed), parsed.options
    allowed = {*_SIZES, *KINDS[kind].options}
    if unknown := sorted(options.keys() - allowed) or parsed.resolution:
        raise UsageError(
            f"{name} has options that {_PREFIX}{kind} has not",
            why=str(unknown),
            fix=f"Its options are {', '.join(sorted(allowed))}",
        )
    for key in _SIZES:
        value = options.get(key, _SIZES[key])
        sizes = value if key == "size" and isinstance(value, tuple) else (value,)
        if len(sizes) > 2 or not all(_is_size(each) for each in sizes):
            raise UsageError(f"{key}={value} is no size", fix=f"Give 1 to {_MOST}")
    size = options.get("size", _SIZES["size"])
    height, width = size if isinstance(size, tuple) else (size, size)
    return ModelFacts(
        name=name,
        family=KINDS[kind].title,
        module="lightmobile.models.operator_layers",
        input_size=(height, width),
        num_classes=0,
        preprocessing=Preprocessing(
            resize=min(height, width),
            crop=(height, width),
            interpolation="bilinear",
            mean=(0.5, 0.5, 0.5),
            std=(0.25, 0.25, 0.25),
            channels=options.get("channels", _SIZES["channels"]),
        ),
        paper="Chen et al., CVPR 2023, arXiv:2303.03667",
    )


def build(name: str, options: dict[str, Any]) -> nn.Module:
    """Return the stack of layers that `name` says.

    Raises
    ------
    UsageError
        Its sizes do not fit.
    """
    from lightmobile.models import operator_layers

    kind = _kind(ModelName.parse(name))
    others = {key: value for key, value in options.items() if key not in ("size", *_SIZES)}
    others.pop("features_only", None)
    channels = options.get("channels", _SIZES["channels"])
    layers = options.get("layers", _SIZES["layers"])
    try:
        return operator_layers.stack(kind, channels, layers, **others)
    except (TypeError, ValueError, ZeroDivisionError, RuntimeError) as error:
        raise UsageError(f"{name} cannot be built", why=str(error)) from None


def _kind(parsed: ModelName) -> str:
    kind = parsed.base.removeprefix(_PREFIX)
    if kind not in KINDS:
        raise UsageError(
            f"There is no operator {kind!r}",
            fix=f"Did you mean {suggest(_PREFIX + kind, [_PREFIX + each for each in KINDS])}?",
        )
    return kind


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _MOST
