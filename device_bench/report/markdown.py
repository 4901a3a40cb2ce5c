"""A report as Markdown, for an issue, a commit or a terminal: its words and tables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from lightmobile.device_bench.findings import Claim, Column, Row, Table
from lightmobile.device_bench.report.report import DeviceCard, Report
from lightmobile.device_bench.report.sections import Group, absent, sections
from lightmobile.device_bench.report.tables import filled
from lightmobile.text import figure, printable

__all__ = ["markdown"]

_ROWS = 200
_IDS = 4
# What Markdown, or the HTML that it lets through, would take for more than text.
# An underscore inside a word is one.
_SPECIAL = re.compile(r"([\\`*\[\]<>#|~$&@]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|:(?=//)|(?<=www)\.)")


def markdown(report: Report) -> str:
    """Return the report as Markdown; what a stranger named is text in it, and nothing else."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    source = report.source
    yield "# lightmobile report"
    yield ""
    yield (
        f"{_text(source.name)}: {source.lines} lines, SHA-256 `{source.sha256}`. "
        f"Made {report.made:%Y-%m-%d %H:%M} UTC by lightmobile {_text(report.lightmobile)}."
    )
    for name in ("device", "runtime", "precision"):
        if words := getattr(report.choice, name):
            yield f"Only {name} {_text(', '.join(words))}."
    for card in report.devices:
        yield from _device(card)
    for section in sections(report):
        lines = [line for group in section.groups for line in _group(group, report)]
        if lines:  # else there are charts alone
            yield from ("", f"## {section.title}")
            for words in section.text:
                yield from ("", words)
            yield from lines
    if missing := absent(report):
        yield from ("", "## Not in this store", "")
        yield from (f"- {words}" for words in missing)


def _device(card: DeviceCard) -> Iterator[str]:
    mark = " (EMULATED)" if card.emulated else ""
    yield from ("", f"## {_text(card.name)}: {_text(card.title)}{mark}", "")
    yield from (f"- {title}: {_text(words)}" for title, words in card.facts)


def _group(group: Group, report: Report) -> Iterator[str]:
    if group.title:
        yield from ("", f"### {_text(group.title)}")
    for words in (*group.text, *group.notes):
        yield from ("", _text(words))
    yield from (line for claim in group.claims for line in _claim(claim, report))
    for table in group.tables:
        yield from ("", *_table(table, report))


def _claim(claim: Claim, report: Report) -> Iterator[str]:
    yield ""
    yield (
        f"- Paper: {_text(claim.paper)} Here: {_text(claim.here)} **{claim.verdict}** "
        f"({_ids(claim.results, report)})"
    )


def _table(table: Table, report: Report) -> Iterator[str]:
    columns = filled(table)
    titles = [*(column.title for column in columns), "result"]
    yield "| " + " | ".join(map(_text, titles)) + " |"
    yield "|" + "---|" * len(titles)
    for row in table.rows[:_ROWS]:
        yield "| " + " | ".join([*_cells(row, columns), _ids(row.results, report)]) + " |"
    if len(table.rows) > _ROWS:
        yield from ("", f"{_ROWS} of {len(table.rows)} rows; `--format csv` has them all.")


def _cells(row: Row, columns: Sequence[Column]) -> Iterator[str]:
    for column in columns:
        value = row.cells.get(column.key)
        yield _text(value) if isinstance(value, str) else figure(value, column.digits)


def _ids(results: Sequence[str], report: Report) -> str:
    named = [_short(each, report) for each in results[:_IDS]]
    more = [f"{len(results) - _IDS} more"] if len(results) > _IDS else []
    return ", ".join(named + more)


def _short(result: str, report: Report) -> str:
    number = report.numbers.get(result)
    return _text(result if number is None else report.everything[number].short)


def _text(text: str) -> str:
    """Return `text` with what Markdown would read as its own escaped, on one line."""
    return _SPECIAL.sub(r"\\\1", printable(" ".join(text.split())))
