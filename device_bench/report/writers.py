"""The formats of a report."""

from __future__ import annotations

from collections.abc import Callable

from lightmobile.device_bench.report.report import Report

__all__ = ["FORMATS", "write"]

FORMATS = ("html", "md", "csv", "json")


def write(report: Report, format_: str) -> str:
    """Return the text of a report in one of `FORMATS`.

    Raises
    ------
    UsageError
        HTML was asked for, and a package that it needs is not installed.
    """
    return _WRITERS[format_](report)


def _html(report: Report) -> str:
    from lightmobile.device_bench.report.html import html

    return html(report)


def _markdown(report: Report) -> str:
    from lightmobile.device_bench.report.markdown import markdown

    return markdown(report)


def _csv(report: Report) -> str:
    from lightmobile.device_bench.report.flat import csv

    return csv(report)


def _json(report: Report) -> str:
    import json

    return json.dumps(_finite(report.to_dict()), indent=2, ensure_ascii=False) + "\n"


def _finite(value: object) -> object:
    """Return `value` with null for what JSON has no word for."""
    if isinstance(value, float) and value - value != 0:
        return None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


_WRITERS: dict[str, Callable[[Report], str]] = {
    "html": _html,
    "md": _markdown,
    "csv": _csv,
    "json": _json,
}
