"""Core ML conversions collect garbage; spare them the thousands of objects of the imports."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="package")
def _frozen_imports() -> Iterator[None]:
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
