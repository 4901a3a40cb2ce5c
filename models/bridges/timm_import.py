"""Importing timm where torchvision is not: that would bring another torch than the tested one.

timm asks for torchvision as it is imported, but its networks do without: what they name is a class
of frozen norms, for ``isinstance``, and the rest is photographs' augmentation in training.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from lightmobile.errors import UsageError

__all__ = ["INSTALL", "VERSION", "import_timm"]

VERSION = "1.0.31"
INSTALL = f'pip install "lightmobile[timm]", then pip install --no-deps timm=={VERSION}'


def import_timm() -> Any:
    """Return the module timm.

    Raises
    ------
    UsageError
        It is not installed, or cannot be imported; the message says how to install it.
    """
    try:
        with _absent_torchvision():
            return importlib.import_module("timm")
    except ModuleNotFoundError as error:
        raise UsageError(
            f"The module {error.name} is missing, which timm's models need",
            why="timm is not part of lightmobile: its own requirements bring another torch",
            fix=INSTALL,
        ) from None
    except Exception as error:
        raise UsageError(
            "timm cannot be imported",
            why=f"{type(error).__name__}: {error}",
            fix=f"Tested is {VERSION}: {INSTALL}",
        ) from error


@contextmanager
def _absent_torchvision() -> Iterator[None]:
    """Let imports of torchvision succeed for as long as the block runs, if it is not installed."""
    finder = _Finder()
    sys.meta_path.append(finder)  # the last to be asked: an installed torchvision is found before
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in finder.found:
            sys.modules.pop(name, None)


class _Finder(Loader):
    """Finds empty modules whose attributes are classes that cannot be called."""

    _names = frozenset(
        {
            "torchvision",
            "torchvision.datasets",
            "torchvision.ops",
            "torchvision.ops.misc",
            "torchvision.transforms",
            "torchvision.transforms.functional",
        }
    )

    def __init__(self) -> None:
        self.found: list[str] = []

    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        if name not in self._names:
            return None
        self.found.append(name)
        return ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Module(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Leave it empty."""


class _Module(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Absent(name, (), {})


class _Absent(type):
    """A class of torchvision: it may be a base or an annotation, and has no instance."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Absent(name, (), {})

    def __call__(cls, *_: object, **__: object) -> Any:
        raise UsageError(
            f"{cls.__name__} is torchvision's, which is not installed",
            fix="Only timm's networks can be used here",
        )
