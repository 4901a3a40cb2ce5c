from __future__ import annotations

from pathlib import Path

import pytest

from tests.device_bench.bundle_fixture import built_bundle, mark_users, runner_bundle
from tests.once import made_once

__all__ = ["artifacts", "built_bundle", "runner_bundle"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    mark_users(items)


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Tiny artifacts by their runtimes."""
    from tests.device_bench.artifacts import NAMES, make

    folder = made_once(tmp_path_factory, "artifacts", make)
    return {runtime: folder / name for runtime, name in NAMES.items()}
