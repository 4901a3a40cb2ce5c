from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from lightmobile.device_bench.schema import (
    Configuration,
    Failure,
    OtherLine,
    Slice,
    json_schema,
    new_id,
    parse_line,
)
from lightmobile.errors import UsageError
from tests.device_bench.lines import configuration, session, slice_, whole_result


def _changed(line: Any, **changes: Any) -> str:
    return json.dumps(json.loads(line.to_json()) | changes)


@pytest.mark.parametrize("line", [session(), *whole_result()], ids=lambda line: line.kind)
def test_a_line_reads_back_as_it_was(line: Any) -> None:
    text = line.to_json()
    assert "\n" not in text
    assert parse_line(text) == line
    assert json.loads(text)["schema"] == 1


@pytest.mark.parametrize(
    "samples",
    [
        *("[NaN]", "[Infinity]", "[-1]", "[0]", "[1.5]", "[1e300]", "[true]", "[null]", '["1"]'),
        *("[[1]]", "[]", "7", "null", f"[{2**63}]", f"[{'9' * 5000}]"),
    ],
)
def test_only_whole_positive_bounded_samples_are_taken(samples: str) -> None:
    text = slice_(0, [1]).to_json().replace("[1]", samples)
    with pytest.raises(ValidationError):
        parse_line(text)


@pytest.mark.parametrize("text", ["", "null", "[]", "7", "{", '{"kind": 1}', "[" * 100_000, "\0"])
def test_what_is_no_line_is_told_apart(text: str) -> None:
    with pytest.raises(ValidationError):
        parse_line(text)


def test_a_later_major_version_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match=r"schema 2.*reads schema 1.*Update lightmobile"):
        parse_line(_changed(slice_(0), schema=2, samples_ns="in some other form"))


def test_keys_and_kinds_of_a_later_minor_version_are_kept() -> None:
    later = parse_line(_changed(slice_(0), joules=[0.5], nested={"a": None}))
    assert isinstance(later, Slice)
    assert json.loads(later.to_json())["joules"] == [0.5]
    assert json.loads(later.to_json())["nested"] == {"a": None}

    other = parse_line('{"schema": 1, "kind": "energy", "rails": [1, 2]}')
    assert isinstance(other, OtherLine)
    assert json.loads(other.to_json())["rails"] == [1, 2]


def test_text_cannot_drive_a_terminal() -> None:
    hostile = "\x1b[2J\x1b]0;title\x07\u202e\x9b\r"
    line = Failure(session="s", result="r", stage=hostile, error=hostile + "\nnext line")
    assert line.error.replace("\n", "").isprintable()
    assert line.stage.startswith(r"\x1b[2J")
    assert configuration(model=hostile).model.isprintable()


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b.pte", "C:\\models\\a.pte"])
def test_an_artifact_is_a_file_name(name: str) -> None:
    with pytest.raises(ValidationError, match="file names only"):
        Configuration(result="r", model="m", runtime="executorch", artifact=name)


@pytest.mark.parametrize("identifier", ["", " ", "a b", "../a", "\x1b[0m", "x" * 65, "-rf"])
def test_an_id_is_a_plain_word(identifier: str) -> None:
    with pytest.raises(ValidationError):
        slice_(0, session=identifier)


def test_new_ids_fit_and_differ() -> None:
    assert slice_(0, session=new_id()).session != slice_(0, session=new_id()).session


def test_the_json_schema_names_every_kind() -> None:
    text = json.dumps(json_schema())
    for kind in ("session", "process", "slice", "memory", "profile", "failure", "end"):
        assert f'"const": "{kind}"' in text
    assert json_schema()["$schema"].endswith("2020-12/schema")
