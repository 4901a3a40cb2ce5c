"""The browser that opens the pages, and the pages."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from lightmobile.device_bench.report import collect, write
from tests.report import stores


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, without a window."""
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=shutil.which("chromium"))
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a store with something in every section."""
    folder = tmp_path_factory.mktemp("report")
    store = stores.stored(folder / "results.jsonl", stores.studied())
    path = folder / "report.html"
    path.write_text(write(collect(store, findings_of=stores.findings_of), "html"))
    return path
