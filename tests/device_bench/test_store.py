from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from lightmobile.device_bench.schema import Slice
from lightmobile.device_bench.store import Store, StoreWarning, default_path
from lightmobile.errors import UsageError
from tests.device_bench.lines import session, slice_


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results.jsonl")


def _rounds(store: Store) -> list[int]:
    return [line.round for line in store.read() if isinstance(line, Slice)]


def test_lines_are_kept_in_order_and_folders_made(tmp_path: Path) -> None:
    store = Store(tmp_path / "new" / "folder" / "results.jsonl")
    assert store.read() == []
    lines = [session(), slice_(0), slice_(1)]
    store.append(lines[0])
    store.append(*lines[1:])
    assert Store(store.path).read() == lines
    assert store.path.read_bytes().count(b"\n") == 3


def test_the_default_path_follows_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIGHTMOBILE_STORE", str(tmp_path / "mine.jsonl"))
    assert Store().path == default_path() == tmp_path / "mine.jsonl"
    monkeypatch.delenv("LIGHTMOBILE_STORE")
    assert default_path().name == "results.jsonl"


HALVES = [slice_(2).to_json().encode()[:length] for length in (1, 20, 60, -1)]


@pytest.mark.parametrize("half", [*HALVES, b"\0" * 4096, b"\xff\xfe", b"x" * 200_000])
def test_a_half_written_last_line_is_kept_and_repaired(store: Store, half: bytes) -> None:
    store.append(slice_(0), slice_(1))
    whole = store.path.read_bytes()
    store.path.write_bytes(whole + half)

    with pytest.warns(StoreWarning, match="line 3 .half-written"):
        assert _rounds(store) == [0, 1]
    assert store.path.read_bytes() == whole + half, "reading changes nothing"

    with pytest.warns(StoreWarning, match=r"moved to results\.jsonl\.damaged"):
        store.append(slice_(3))
    assert _rounds(store) == [0, 1, 3]
    assert store.path.read_bytes().startswith(whole)
    assert store.damaged_path.read_bytes() == half + b"\n"


def test_fragments_of_several_accidents_are_all_kept(store: Store) -> None:
    for half in (b'{"kind', b'{"schema":1,'):
        with store.path.open("ab") as file:
            file.write(half)
        with pytest.warns(StoreWarning, match="half-written"):
            store.append(slice_(0))
    assert store.damaged_path.read_bytes() == b'{"kind\n{"schema":1,\n'


def test_a_whole_last_line_without_its_line_break_counts(store: Store) -> None:
    store.path.write_text(slice_(0).to_json())
    assert _rounds(store) == [0]
    store.append(slice_(1))
    assert _rounds(store) == [0, 1]
    assert not store.damaged_path.exists()


def test_damage_in_the_middle_is_left_out_by_number(store: Store) -> None:
    lines = [slice_(number).to_json() for number in range(12)]
    for damaged in (1, 4, 5, 6, 8, 9):
        lines[damaged] = "{" * damaged
    store.path.write_text("\n".join(lines) + "\n")
    with pytest.warns(StoreWarning, match=r"line 2 .*line 5 .*line 9 .*1 more"):
        assert _rounds(store) == [0, 2, 3, 7, 10, 11]
    before = store.path.read_bytes()
    store.append(slice_(12))
    assert store.path.read_bytes().startswith(before), "nothing is ever rewritten"


def test_the_warning_repeats_no_hostile_text(store: Store) -> None:
    store.path.write_text('{"schema":1,"kind":"slice","\x1b[2J":1}\n')
    with pytest.warns(StoreWarning) as caught:
        store.read()
    assert str(caught[0].message).isprintable()


def test_a_later_major_version_is_refused(store: Store) -> None:
    store.append(slice_(0))
    with store.path.open("a") as file:
        file.write('{"schema": 3, "kind": "slice"}\n')
    with pytest.raises(UsageError, match="schema 3"):
        store.read()


@pytest.mark.parametrize("make", ["folder", "below a file", "pipe"])
def test_what_cannot_be_a_store_is_a_usage_error(tmp_path: Path, make: str) -> None:
    path = tmp_path / "results.jsonl"
    if make == "folder":
        path.mkdir()
    elif make == "below a file":
        path.write_text("")
        path = path / "results.jsonl"
    elif hasattr(os, "mkfifo"):
        os.mkfifo(path)
    else:
        pytest.skip("this system has no named pipes")
    with pytest.raises(UsageError, match="cannot be written"):
        Store(path).append(slice_(0))


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="this user may write everywhere"
)
def test_no_permission_is_a_usage_error(store: Store) -> None:
    store.append(slice_(0))
    store.path.chmod(0o400)
    with pytest.raises(UsageError, match="Permission denied"):
        store.append(slice_(1))


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are POSIX")
def test_a_full_disk_leaves_the_store_as_it_was(store: Store) -> None:
    # A limit on the size of files stops the write in the middle of a line, as a full disk does.
    store.append(*(slice_(number) for number in range(20)))
    before = store.path.read_bytes()
    script = textwrap.dedent(
        """
        import resource, sys
        from lightmobile.device_bench.store import Store
        from lightmobile.errors import UsageError
        from tests.device_bench.lines import slice_
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
        try:
            Store(sys.argv[1]).append(slice_(20), slice_(21))
        except UsageError as error:
            sys.exit(f"usage: {error}")
        """
    )
    command = [sys.executable, "-c", script, str(store.path), str(len(before) + 100)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert ran.stderr.startswith("usage: The store ")
    assert "cannot be written" in ran.stderr
    assert store.path.read_bytes() == before


def _append_many(path: Path, process: int, count: int) -> None:
    store = Store(path)
    for number in range(count):
        store.append(slice_(number, range(1, 3000), process=process))


def test_several_processes_may_append_at_once(store: Store) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_append_many, args=(store.path, n, 20)) for n in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    lines = [json.loads(line) for line in store.path.read_text().splitlines()]
    assert sorted((line["process"], line["round"]) for line in lines) == [
        (process, number) for process in range(3) for number in range(20)
    ]
