"""Sessions with runners that do wrong: an error that says so, and no process left."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

from lightmobile.device_bench import session as session_module
from lightmobile.device_bench.protocol import Load, Tensor
from lightmobile.device_bench.session import RunnerError, RunnerSession

BAD = Path(__file__).with_name("bad_runner.py")
LOAD = Load(artifact="a", inputs=(Tensor(shape=(1,), file="x"),))


def bad(how: str) -> RunnerSession:
    return RunnerSession([sys.executable, str(BAD), how])


def is_gone(pid: int) -> bool:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("exits", "exit status 3.*the last words"),
        ("garbage", "none"),
        ("floods", "none"),
        ("protocol 2", "protocol"),
        ("other answer", "warm_up_ns"),
        ("too few", "0 inferences instead of 1"),
        ("zero time", "greater than 0"),
        ("fails", "0x12.*no memory"),
        ("complains", "status 3. It printed: ERROR: no such operator$"),
        pytest.param(
            "crashes",
            "SIGSEGV",
            marks=pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX"),
        ),
    ],
)
def test_names_what_a_runner_did_wrong(how: str, says: str) -> None:
    with bad(how) as session:
        session.hello()
        session.load(LOAD)
        with pytest.raises(RunnerError, match=f"(?s){says}") as caught:
            session.run(1)
    assert caught.value.stage == "run"
    assert is_gone(session.pid)


def test_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "RUN_TIMEOUT_S", 0.5)
    with bad("hangs") as session, pytest.raises(RunnerError, match="did not answer"):
        session.run(1)
    assert is_gone(session.pid)


def test_ends_what_the_runner_started() -> None:
    with bad("leaves a child") as session, pytest.raises(RunnerError) as caught:
        session.run(1)
    child = int(caught.value.why.split()[-1])
    assert is_gone(child)


def test_an_exception_ends_the_runner() -> None:
    with contextlib.suppress(ZeroDivisionError), bad("hangs") as session:
        session.hello()
        raise ZeroDivisionError
    assert is_gone(session.pid)


def test_a_session_that_is_over_says_so() -> None:
    session = bad("hangs")
    session.close()
    session.close()
    with pytest.raises(RunnerError, match="over"):
        session.hello()


def test_a_program_that_is_missing() -> None:
    with pytest.raises(RunnerError, match="cannot be started"):
        RunnerSession(["/no/such/runner"])


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
def test_a_runner_killed_from_outside() -> None:
    with bad("hangs") as session:
        session.hello()
        psutil.Process(session.pid).send_signal(signal.SIGKILL)
        with pytest.raises(RunnerError, match="SIGKILL"):
            session.load(LOAD)
