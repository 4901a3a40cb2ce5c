"""A user's own network, as ``package.module:function``."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterable
from functools import reduce
from typing import TYPE_CHECKING, Any

from lightmobile.errors import UsageError
from lightmobile.models.preprocessing import Preprocessing

if TYPE_CHECKING:
    from torch import nn

    from lightmobile.models.registry import ModelFacts

__all__ = ["also_search", "build", "facts", "is_function", "search_path"]

_SIZE = (224, 224)
# What most training scripts for ImageNet do.
_PREPROCESSING = Preprocessing(
    resize=256,
    crop=_SIZE,
    interpolation="bilinear",
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
)


def is_function(name: str) -> bool:
    """Tell whether the model `name` is a user's code, which building it runs."""
    head, colon, _ = name.partition(":")
    return bool(colon) and "@" not in head and head not in ("timm", "op")


def search_path(name: str) -> list[str]:
    """Return where another process has to look for the code of model `name`; see `also_search`."""
    return [os.path.abspath(entry) for entry in (*sys.path, "")] if is_function(name) else []  # noqa: PTH100


def also_search(folders: Iterable[str]) -> None:
    """Look for modules in `folders` too, after all others: no torch.py of a user hides torch."""
    sys.path.extend(folder for folder in folders if folder not in sys.path)


def facts(name: str) -> ModelFacts:
    """Return what is assumed of the model; its code is not run."""
    from lightmobile.models.registry import ModelFacts

    return ModelFacts(
        name=name,
        family="-",
        module=name.partition(":")[0],
        input_size=_SIZE,
        num_classes=1000,
        preprocessing=_PREPROCESSING,
    )


def build(name: str, overrides: dict[str, Any], seed: int) -> nn.Module:
    """Call the function with `overrides` for arguments; what it draws from torch depends on `seed`.

    Modules are looked for in the current folder too, after all others.

    Raises
    ------
    UsageError
        There is no such module or function, it fails, or it returns no module of torch.
    """
    import torch
    from torch import nn

    also_search([os.getcwd()])  # noqa: PTH109
    function = _find(name)
    with torch.device("cpu"), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            network = function(**overrides)
        except Exception as error:
            raise UsageError(
                f"{name} failed" + (f" with {overrides}" if overrides else ""),
                why=f"{type(error).__name__}: {error}",
                fix="It is called to make the model: try it in Python",
            ) from error
    if not isinstance(network, nn.Module):
        raise UsageError(
            f"{name} returns a {type(network).__name__}", fix="Let it return a torch.nn.Module"
        )
    return network.cpu().float()


def _find(name: str) -> Callable[..., Any]:
    path, _, attribute = name.partition(":")
    fix = "A model of your own is package.module:function, from this folder or from PYTHONPATH"
    try:
        module = importlib.import_module(path)
    except (Exception, SystemExit) as error:
        missing = isinstance(error, ModuleNotFoundError) and path.startswith(error.name or "?")
        if missing or not path:
            raise UsageError(f"There is no module {path!r}", fix=fix) from None
        raise UsageError(
            f"The module {path} cannot be imported", why=f"{type(error).__name__}: {error}"
        ) from error
    try:
        function = reduce(getattr, attribute.split("."), module)
    except AttributeError:
        raise UsageError(f"{path} has no {attribute!r}", fix=fix) from None
    if not callable(function):
        raise UsageError(f"{name} is no function", fix=fix)
    return function
