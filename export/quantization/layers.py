"""The layers of a module that a user can name."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from lightmobile.errors import UsageError
from lightmobile.plugins import suggest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from torch import nn

__all__ = ["LayerError", "is_kept", "merged", "require_layers"]


@dataclass(frozen=True)
class LayerError:
    """One layer, quantized while all others are not.

    Attributes
    ----------
    layer
        Its name in the deployed module.
    kind
        Its class: ``Conv2d``, ``Linear``.
    sqnr_db
        Of the model's outputs, of what varies between the images.
    """

    layer: str
    kind: str
    sqnr_db: float

    def to_dict(self) -> dict[str, Any]:
        """Return what ``lightmobile verify --layers --json`` prints of one layer."""
        return asdict(self)


def require_layers(module: nn.Module, names: Collection[str]) -> None:
    """See that `names` are modules inside of `module`, and leave some of its layers out.

    Raises
    ------
    UsageError
        One is none; the message has the nearest. Or together they are the whole module.
    """
    known = [name for name, _ in module.named_modules() if name]
    for name in names:
        if name not in known:
            raise UsageError(
                f"The model has no layer {name!r} once it is fused",
                fix=f"Use {suggest(name, known)}",
            )
    weights = [name.rpartition(".")[0] for name, _ in module.named_parameters()]
    if weights and all(is_kept(layer, names) for layer in weights):
        raise UsageError(
            "There is nothing left to quantize",
            why="Every layer is kept in floating point",
            fix="Keep fewer, or leave --precision out",
        )


def is_kept(layer: str, keep_fp: Iterable[str]) -> bool:
    """Tell whether `layer` is one of `keep_fp`, or lies inside one of them."""
    return any(layer == name or layer.startswith(f"{name}.") for name in keep_fp)


def merged(chosen: Collection[str], leaves: Iterable[str]) -> tuple[str, ...]:
    """Return the largest modules all of whose `leaves` are `chosen`, in the order chosen.

    What a module computes between its layers, as the sum of a shortcut, has no name but its own.
    """
    left = [leaf for leaf in leaves if leaf not in chosen]
    modules = []
    for leaf in chosen:
        parts = leaf.split(".")
        prefixes = [".".join(parts[:count]) for count in range(1, len(parts) + 1)]
        modules.append(next(p for p in prefixes if not any(is_kept(other, [p]) for other in left)))
    return tuple(dict.fromkeys(modules))
