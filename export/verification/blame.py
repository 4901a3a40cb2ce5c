"""Say of whatever goes wrong with an artifact that it is the artifact's."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from lightmobile.errors import LightmobileError, UsageError, VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["blaming"]


@contextmanager
def blaming(artifact: Path, verb: str) -> Iterator[None]:
    """Turn what is raised inside into an error that says `artifact` cannot be loaded, run, read.

    Raises
    ------
    UsageError
        A package is missing here.
    VerificationError
        Anything else was raised, but for our own errors, which pass.
    """
    try:
        yield
    except LightmobileError:
        raise
    except ImportError as error:
        raise UsageError(
            f"{artifact.name} cannot be {verb} here",
            why=str(error),
            fix="`lightmobile doctor` tells what is missing and how to get it",
        ) from error
    except Exception as error:  # runtimes raise whatever they like at a damaged file
        raise VerificationError(
            f"{artifact.name} cannot be {verb}",
            why=f"{type(error).__name__}: {error}",
            fix="Export the model again",
        ) from error
