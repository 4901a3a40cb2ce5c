"""What a store holds, as one report: for people a page or a text, for programs rows or JSON."""

from __future__ import annotations

from lightmobile.device_bench.report.choice import Choice
from lightmobile.device_bench.report.collect import collect
from lightmobile.device_bench.report.report import Report
from lightmobile.device_bench.report.writers import FORMATS, write

__all__ = ["FORMATS", "Choice", "Report", "collect", "write"]
