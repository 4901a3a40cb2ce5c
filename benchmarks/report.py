"""A report of many results: how long it takes to make, what it weighs, how long it takes to open.

    python -m benchmarks.report [--results 5000]

The results are made up, by the lines that the tests of the report use. The page is opened in the
system's Chromium, three times. Bars for 5000 results: below 5 MB, opened in less than 2 s.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from lightmobile.device_bench.report import FORMATS, collect, write
from tests.report.stores import many, stored


def main() -> None:
    """Measure, and print each figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=int, default=5000)
    count = parser.parse_args().results
    with tempfile.TemporaryDirectory() as name:
        store = stored(Path(name) / "store.jsonl", many(count))
        start = time.perf_counter()
        report = collect(store)
        print(f"collect: {time.perf_counter() - start:.1f} s, {len(report.everything)} results")
        for format_ in FORMATS:
            start = time.perf_counter()
            text = write(report, format_).encode()
            print(f"{format_}: {time.perf_counter() - start:.1f} s, {len(text) / 1e6:.2f} MB")
            (Path(name) / f"report.{format_}").write_bytes(text)
        for seconds in _open(Path(name) / "report.html"):
            print(f"opened in {seconds:.2f} s")


def _open(page: Path) -> list[float]:
    """Return the seconds from the request to a page that is loaded, its script done."""
    taken = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"))
        for _ in range(3):
            tab = browser.new_page()
            start = time.perf_counter()
            tab.goto(page.as_uri())
            taken.append(time.perf_counter() - start)
            tab.close()
        browser.close()
    return taken


if __name__ == "__main__":
    main()
