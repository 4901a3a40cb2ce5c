from __future__ import annotations

import getpass
import json
import platform
import random
from pathlib import Path

import pytest

from lightmobile.device_bench.anonymity import anonymized
from lightmobile.device_bench.results import (
    Result,
    export_results,
    import_results,
    results,
    results_of,
)
from lightmobile.device_bench.schema import (
    Failure,
    Line,
    OtherLine,
    Profile,
    ProfileRow,
    Session,
    parse_line,
)
from lightmobile.device_bench.store import Store, StoreWarning
from lightmobile.errors import UsageError
from tests.device_bench.lines import DEVICE, configuration, session, slice_, whole_result


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results.jsonl")


def _two_results() -> list[Line]:
    plan = configuration("b"), configuration("a", batch=4), configuration("c", skipped="no")
    return [session(*plan), *whole_result("a"), *whole_result("b")]


def _as_dicts(found: list[Result]) -> list[dict[str, object]]:
    return [result.to_dict() for result in found]


def test_a_result_has_the_documented_form() -> None:
    (result,) = results_of([session(configuration(threads=2)), *whole_result()])
    document = result.to_dict()
    samples = [1_000_000, 3_000_000] * 4
    low, high = document["latency_ms"].pop("ci95")
    assert 1 <= low <= 2 <= high <= 3
    assert document == {
        "id": "r",
        "session": "s",
        "model": "fasternet_t0",
        "artifact": "fasternet_t0.xnnpack.fp32.pte",
        "runtime": "executorch",
        "compute": "cpu",
        "backend": "xnnpack",
        "precision": "fp32",
        "batch": 1,
        "device": "host",
        "threads": 2,
        "cores": None,
        "clocks": "as-shipped",
        "emulated": False,
        "hot": False,
        "latency_ms": {"median": 2.0, "p5": 1.0, "p90": 3.0, "p95": 3.0},
        "images_per_second": 500.0,
        "load_ms": 3.0,
        "first_ms": 9.0,
        "peak_memory_bytes": 60,
        "samples_ns": samples,
    }
    assert result.stopped == "rounds"
    json.dumps(document, allow_nan=False)


def test_a_killed_run_still_has_the_result_of_what_it_measured() -> None:
    (result,) = results_of([session(), slice_(0)])
    document = result.to_dict()
    assert document["latency_ms"]["ci95"] == [None, None]
    assert (document["load_ms"], document["peak_memory_bytes"]) == (None, None)
    assert result.stopped is None


def test_results_come_in_the_order_asked_and_skipped_ones_do_not(store: Store) -> None:
    store.append(*_two_results())
    store.append(session(configuration("d"), id="t"), slice_(0, session="t", result="d"))
    assert [result.id for result in results(store)] == ["b", "a", "d"]
    assert [result.id for result in results(store, session="t")] == ["d"]
    assert results(store)[1].images_per_second == 4 * 500


def test_a_line_that_comes_twice_counts_once() -> None:
    lines = _two_results()
    again = results_of([*lines, *lines, slice_(0, [7], result="a")])
    assert _as_dicts(again) == _as_dicts(results_of(lines))


def test_the_order_of_lines_does_not_matter_to_who_owns_them() -> None:
    lines = _two_results()
    random.Random(0).shuffle(lines)
    medians = {result.id: result.latency.median for result in results_of(lines)}
    assert medians == {"a": 2e6, "b": 2e6}


def test_a_slice_of_another_session_does_not_slip_into_a_result() -> None:
    lines = [session(), slice_(0), slice_(1, [1], session="stranger")]
    (result,) = results_of(lines)
    assert len(result.slices) == 1


def test_threads_are_those_in_use() -> None:
    lines = [session(configuration(threads=None)), *whole_result()]
    assert results_of(lines)[0].threads is None
    lines[1] = lines[1].model_copy(update={"threads": 5})
    assert results_of(lines)[0].threads == 5


def test_export_and_import_share_everything(store: Store, tmp_path: Path) -> None:
    unknown = json.loads(slice_(9, result="a").to_json()) | {"joules": 0.25, "deep": {"x": [None]}}
    other = parse_line('{"schema": 1, "kind": "energy", "rails": {"cpu": [1, 2]}}')
    store.append(*_two_results(), parse_line(json.dumps(unknown)), other)
    shared, theirs = tmp_path / "shared.jsonl", Store(tmp_path / "theirs" / "results.jsonl")
    assert export_results(store, shared) == 2
    assert import_results(theirs, shared) == 2
    assert theirs.read() == store.read()
    assert '"joules":0.25,"deep":{"x":[null]}' in theirs.path.read_text()
    assert _as_dicts(results(theirs)) == _as_dicts(results(store))


def test_importing_twice_changes_nothing(store: Store, tmp_path: Path) -> None:
    store.append(*_two_results())
    export_results(store, tmp_path / "shared")
    before = store.path.read_bytes()
    assert import_results(store, tmp_path / "shared") == 0
    assert store.path.read_bytes() == before


def test_import_never_overwrites(store: Store, tmp_path: Path) -> None:
    store.append(session(), *whole_result())
    changed = Store(tmp_path / "changed")
    changed.append(
        session(configuration(model="another"), lightmobile="9"),
        *(slice_(number, [9_000_000], process=number // 2) for number in range(4)),
    )
    mine = _as_dicts(results(store))
    assert import_results(store, changed.path) == 0
    assert _as_dicts(results(store)) == mine


def test_import_completes_a_result_that_was_shared_half_way(store: Store, tmp_path: Path) -> None:
    lines = [session(), *whole_result()]
    store.append(*lines[:3])
    Store(tmp_path / "whole").append(*lines)
    assert import_results(store, tmp_path / "whole") == 0
    assert _as_dicts(results(store)) == _as_dicts(results_of(lines))


def test_a_damaged_file_gives_what_is_whole(store: Store, tmp_path: Path) -> None:
    text = "\n".join(line.to_json() for line in _two_results())
    (tmp_path / "shared").write_text("{\n" + text + '\n{"half')
    with pytest.warns(StoreWarning, match="line 1"):
        assert import_results(store, tmp_path / "shared") == 2


@pytest.mark.parametrize("text", [None, "", "hello\n", '{"schema": 2, "kind": "slice"}\n'])
@pytest.mark.filterwarnings("ignore::lightmobile.device_bench.store.StoreWarning")
def test_what_holds_no_results_is_a_usage_error(
    store: Store, tmp_path: Path, text: str | None
) -> None:
    if text is not None:
        (tmp_path / "shared").write_text(text)
    with pytest.raises(UsageError):
        import_results(store, tmp_path / "shared")
    assert not store.path.exists()


def test_an_empty_store_has_nothing_to_export(store: Store, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is empty"):
        export_results(store, tmp_path / "shared")
    assert list(tmp_path.iterdir()) == []


def test_an_export_that_fails_leaves_what_was_there(store: Store, tmp_path: Path) -> None:
    store.append(*_two_results())
    target = tmp_path / "folder"
    target.mkdir()
    for path in (target, tmp_path / "absent" / "shared", store.path / "below"):
        with pytest.raises(UsageError, match="cannot be written"):
            export_results(store, path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "results.jsonl"]


SECRETS = ["anna-laptop", "annalaptop", "R58N12345", "anna", "Schmidt", "geheim", "/home", "C:\\"]


def _telling_lines() -> list[Line]:
    """Lines that give away their owner in every place where a string fits."""
    where = "/home/anna/geheim/model.pte: C:\\Users\\Schmidt\\geheim on anna-laptop"
    plan = (
        configuration("r", model="anna-laptop_net", artifact="anna-laptop.pte"),
        configuration("q", skipped=f"no file {where}"),
    )
    device = DEVICE.model_copy(
        update={
            "kind": "android",
            "name": "anna-laptop.example.org",
            "serial": "R58N12345",
            "versions": {"torch": "2.13.0+anna-laptop"},
            "user": "anna",
        }
    )
    rows = (ProfileRow(name="/home/anna/geheim/kernel.cl", samples_ns=(1,), delegate="R58N12345"),)
    owner = {"session": "s", "result": "r"}
    return [
        session(*plan, device=device, annalaptop="Schmidt"),
        *whole_result(),
        slice_(4, path="/home/anna/geheim"),
        Profile(rows=rows, **owner),
        Failure(stage="load", error=f"cannot open {where}", **owner),
        OtherLine(kind="diary", text="anna was here"),
    ]


def test_an_anonymous_export_names_no_one(store: Store, tmp_path: Path) -> None:
    lines = _telling_lines()
    own = {platform.node(), getpass.getuser(), str(Path.home()), str(tmp_path)}
    lines.append(Failure(session="s", result="r", stage="run", error=" ".join(own)))
    store.append(*lines)
    plain = store.path.read_text()
    assert all(json.dumps(secret)[1:-1] in plain for secret in [*SECRETS, *own])

    shared = tmp_path / "shared.jsonl"
    assert export_results(store, shared, anonymous=True) == 1
    text = shared.read_text().lower()
    assert [secret for secret in SECRETS if json.dumps(secret)[1:-1].lower() in text] == []
    assert [word for word in own if f'"{word.lower()}' in text] == []
    assert '"s"' not in text
    assert '"r"' not in text

    (before,), (after,) = results(store), results(Store(shared))
    assert after.samples_ns == before.samples_ns
    assert after.session.device.processor == before.session.device.processor
    assert after.to_dict()["device"] == "android"
    assert before.to_dict()["device"] == "android:R58N12345"


def test_anonymous_ids_are_stable_and_still_link_lines() -> None:
    lines = _telling_lines()
    once, again = anonymized(lines), anonymized(lines)
    assert once == again
    assert [line.key for line in anonymized(once)] == [line.key for line in once]
    first = once[0]
    assert isinstance(first, Session)
    assert first.id.startswith("anonymous-")
    assert first.plan[0].result == results_of(once)[0].id


def test_ones_own_anonymous_export_is_known(store: Store, tmp_path: Path) -> None:
    store.append(*_telling_lines())
    export_results(store, tmp_path / "shared", anonymous=True)
    before = store.path.read_bytes()
    assert import_results(store, tmp_path / "shared") == 0
    assert store.path.read_bytes() == before


def test_an_anonymous_import_is_idempotent(store: Store, tmp_path: Path) -> None:
    theirs = Store(tmp_path / "theirs")
    theirs.append(*_telling_lines())
    export_results(theirs, tmp_path / "shared", anonymous=True)
    assert [import_results(store, tmp_path / "shared") for _ in range(2)] == [1, 0]
