"""Figures and strangers' words, as tables, files and terminals show them."""

from __future__ import annotations

from typing import Any

__all__ = ["aligned", "figure", "megabytes", "percent", "plain_cell", "printable"]


def printable(text: str) -> str:
    """Return `text` with every control character, and so every terminal escape, made visible."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def plain_cell(cell: Any) -> Any:
    """Return `cell` of a CSV file such that no spreadsheet takes it for a formula."""
    return "'" + cell if isinstance(cell, str) and cell[:1] in "=+-@\t\r" and cell else cell


def figure(value: float | None, digits: int = 3) -> str:
    """Return `value` with `digits` significant digits, or a dash where there is none."""
    if value is None:
        return "-"
    return f"{value:.{digits}g}" if abs(value) < 10**digits else f"{value:,.0f}"


def aligned(value: float, digits: int = 3) -> str:
    """Return `value` as `figure` does, with its last zeros: figures below each other line up."""
    text = f"{value:#.{digits}g}" if abs(value) < 10**digits else f"{value:,.0f}"
    return text.removesuffix(".")


def percent(share: float | None) -> str:
    """Return a share of one in percent, or a dash where there is none."""
    return "-" if share is None else f"{100 * share:.4g}%"


def megabytes(count: int | None) -> str:
    """Return a number of bytes in MB (1e6 bytes)."""
    return "-" if count is None else f"{count / 1e6:.1f} MB"
