from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Tiny artifacts by their runtimes."""
    from tests.device_bench.artifacts import make

    return make(tmp_path_factory.mktemp("artifacts"))
