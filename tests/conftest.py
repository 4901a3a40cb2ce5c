"""What every test is given: a cache and a store of its own, and tools that are really there."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"


@pytest.fixture(autouse=True, scope="session")
def _own_folders(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the user's cache and results out of the tests, and the tests' out of the user's."""
    folder = tmp_path_factory.mktemp("lightmobile")
    os.environ["LIGHTMOBILE_CACHE"] = str(folder / "cache")
    os.environ["LIGHTMOBILE_STORE"] = str(folder / "results.jsonl")


@pytest.fixture
def parity_folder() -> Path:
    """The folder of reference vectors; skips where the project lies without it."""
    folder = SHARED / "parity"
    if not folder.is_dir():
        pytest.skip("the reference vectors do not lie beside the project")
    return folder


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose tool is missing; in CI, which installs them all, fail it."""
    for mark in item.iter_markers("tool"):
        (tool,) = mark.args
        if shutil.which(tool) is None:
            missing = f"needs the program {tool}"
            if os.environ.get("LIGHTMOBILE_REQUIRE_TOOLS"):
                pytest.fail(missing + ", which .ci/run should have installed", pytrace=False)
            pytest.skip(missing)
