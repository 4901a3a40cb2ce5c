"""What every test is given: a cache and a store of its own, and tools that are really there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.once import common_folder

pytest_plugins = ["tests.phone.plugin"]

# The processes of `make test` share the cores: more threads would only wait for each other.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"


@pytest.fixture(autouse=True, scope="session")
def _own_folders(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the user's cache and results out of the tests, and the tests' out of the user's.

    The cache is that of all processes which run the tests together.
    """
    os.environ["LIGHTMOBILE_CACHE"] = str(common_folder(tmp_path_factory) / "cache")
    os.environ["LIGHTMOBILE_STORE"] = str(tmp_path_factory.mktemp("store") / "results.jsonl")


@pytest.fixture(autouse=True)
def _torch_as_before() -> Iterator[None]:
    """Nothing of ours may leave the caller's PyTorch without gradients."""
    yield
    torch = sys.modules.get("torch")
    assert torch is None or torch.is_grad_enabled()


@pytest.fixture(scope="module")
def lasting_exporters() -> Iterator[None]:
    """Let the exports of a module's tests share their processes, whose imports take 30 seconds.

    Not for tests of the processes themselves, nor of models from a folder of their own.
    """
    from lightmobile.export.crew import shared_exporters

    with shared_exporters():
        yield


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


@pytest.fixture(scope="session")
def plugin_env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment in which `tests/plugin` is installed, beside all that is."""
    folder = tmp_path_factory.mktemp("plugin")
    # Setuptools builds in place: from a copy, so that the project's own folder stays clean.
    source = shutil.copytree(ROOT / "tests" / "plugin", folder / "source")
    return _installed(source, folder / "site")


@pytest.fixture(scope="session")
def broken_plugin_env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment with a package whose model raises as it is imported."""
    folder = tmp_path_factory.mktemp("broken")
    info = folder / "broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[lightmobile.models]\nboom = broken\n")
    (folder / "broken.py").write_text("raise RuntimeError('boom')\n")
    return _with_path(folder)


def _installed(source: Path, site: Path) -> dict[str, str]:
    uv = Path(sys.executable).with_name("uv")
    words = [
        "pip",
        "install",
        "--quiet",
        "--offline",
        "--no-deps",
        "--no-build-isolation",
        "--python",
    ]
    subprocess.run([uv, *words, sys.executable, "--target", site, source], check=True)
    return _with_path(site)


def _with_path(site: Path) -> dict[str, str]:
    return {"PYTHONPATH": os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])}
