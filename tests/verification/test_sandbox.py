"""A child that reads a hostile file is a message, never the end of the tool."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from lightmobile.errors import InternalError, UsageError, VerificationError
from lightmobile.export.verification.sandbox import Limits, run_limited

ROOT = Path(__file__).parents[2]
TASKS = "tests.verification.tasks"
LIMITS = Limits(seconds=60)
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits this")


@pytest.fixture(autouse=True)
def _tasks_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def test_a_result_comes_back_and_little_goes_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET", "1")
    result = run_limited(f"{TASKS}:echo", {"a": [1, None, "b"]}, LIMITS, "x")
    assert result["job"] == {"a": [1, None, "b"]}
    assert "A_SECRET" not in result["environment"]
    assert Path(result["environment"]["HOME"]) == Path(result["cwd"])
    assert not Path(result["cwd"]).exists()


def test_an_error_keeps_its_class_but_no_terminal_codes() -> None:
    with pytest.raises(UsageError) as caught:
        run_limited(f"{TASKS}:refuse", {}, LIMITS, "x")
    assert caught.value.to_dict() == {
        "code": "usage",
        "what": "what?[2J",
        "why": "why",
        "fix": "fix",
    }


def test_an_unexpected_error_is_internal() -> None:
    with pytest.raises(InternalError, match="ZeroDivisionError: unexpected"):
        run_limited(f"{TASKS}:fail", {}, LIMITS, "x")


@pytest.mark.parametrize("task", ["hang", "spin"])
def test_a_child_that_never_ends_is_stopped(task: str) -> None:
    with pytest.raises(VerificationError, match=r"m\.pte took longer than 1 s"):
        run_limited(f"{TASKS}:{task}", {}, Limits(seconds=1), "m.pte")


@pytest.mark.parametrize(("task", "why"), [("crash", "Segmentation"), ("leave", "status 0")])
def test_a_crash_is_a_message(task: str, why: str) -> None:
    with pytest.raises(VerificationError, match=rf"Reading m\.pte ended .*{why}"):
        run_limited(f"{TASKS}:{task}", {}, LIMITS, "m.pte")


@linux_only
def test_memory_is_limited() -> None:
    limits = Limits(seconds=60, memory_bytes=512 << 20)
    assert run_limited(f"{TASKS}:allocate", {"bytes": 1 << 20}, limits, "x")["sum"] == 1 << 17
    with pytest.raises(VerificationError, match="memory"):
        run_limited(f"{TASKS}:allocate", {"bytes": 1 << 30}, limits, "x")


def test_the_runtimes_can_be_imported_within_the_usual_limits() -> None:
    assert run_limited(f"{TASKS}:import_runtimes", {}, LIMITS, "x") == {"sum": 8.0}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not limit this")
def test_files_are_limited() -> None:
    with pytest.raises(InternalError, match="File too large"):
        run_limited(f"{TASKS}:fill_disk", {"bytes": 2 << 20}, Limits(60, file_bytes=1 << 20), "x")


def test_a_flood_of_a_reply_is_not_read() -> None:
    with pytest.raises(VerificationError, match="ended the process"):
        run_limited(f"{TASKS}:flood", {"bytes": 2 << 20}, LIMITS, "x")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no process groups")
def test_what_a_stopped_child_started_ends_with_it(tmp_path: Path) -> None:
    with pytest.raises(VerificationError, match="took longer"):
        run_limited(f"{TASKS}:spawn", {"folder": str(tmp_path)}, Limits(seconds=3), "x")
    assert ended(int((tmp_path / "pid").read_text()))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("how", ["SIGINT", "SIGKILL"])
def test_the_child_ends_with_its_parent(how: str, tmp_path: Path) -> None:
    if how == "SIGKILL" and sys.platform != "linux":
        pytest.skip("a child that holds the interpreter's lock outlives a killed parent there")
    call = f"from {TASKS} import start_and_wait; start_and_wait({str(tmp_path)!r})"
    parent = subprocess.Popen([sys.executable, "-c", call], stderr=subprocess.DEVNULL)
    told = tmp_path / "pid"
    deadline = time.monotonic() + 30
    while not (told.exists() and told.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(parent.pid, getattr(signal, how))
    parent.wait(30)
    assert ended(int(told.read_text()))


def ended(pid: int) -> bool:
    """Wait for a process to end; one that nobody has waited for has ended too."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False
