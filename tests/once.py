"""What is dear to make is made once for all processes that run the tests together."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lightmobile.device_bench.file_lock import locked

__all__ = ["common_folder", "made_once"]


def common_folder(factory: pytest.TempPathFactory) -> Path:
    """Return a folder that all processes of this run of the tests have, and no other run."""
    own = factory.getbasetemp()
    # pytest-xdist gives each of its processes a folder in the run's own.
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@contextmanager
def _alone(factory: pytest.TempPathFactory, name: str) -> Iterator[Path]:
    """Hold a name for this process alone, and give the common folder; others wait."""
    folder = common_folder(factory)
    with (folder / f"{name}.lock").open("w") as lock, locked(lock.fileno()):
        yield folder


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return a common folder that `make` has filled, be it in another process."""
    with _alone(factory, name) as common:
        folder, done = common / name, common / f"{name}.made"
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)  # of a process that failed on the way
            folder.mkdir()
            make(folder)
            done.touch()
    return folder
