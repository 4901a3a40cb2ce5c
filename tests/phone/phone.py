"""A test phone, as a test sees it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.phone.faults import Fault
from tests.phone.fixture import Fixture, load_fixture
from tests.phone.image import image_without
from tests.phone.server import AdbServer

__all__ = ["NAMESPACES", "Entry", "Phone"]

_PROJECT = Path(__file__).parents[2]
_USER = () if os.geteuid() == 0 else ("--user", "--map-root-user")
#: Runs a program in namespaces of its own, as root there.
NAMESPACES = ("unshare", "--mount", "--pid", "--fork", "--kill-child", *_USER)


@dataclass(frozen=True)
class Entry:
    """A request: its kind (shell, exec, sync, system or refused), and its text."""

    kind: str
    text: str


class Phone:
    """A phone that is under way, from its construction to :meth:`stop`.

    Parameters
    ----------
    fixture
        The name of a file in ``fixtures``, or what :func:`load_fixture` returned.
    server
        The adb server that it is connected to.
    image
        What :func:`make_image` made.
    folder
        A new folder on the host, for the phone's files.
    access
        ``open``; or it asks for a key, which its user ``accepts`` or ``refuses``; or ``silent``.
    noexec
        Whether nothing on ``/data`` can be executed.
    """

    def __init__(
        self,
        fixture: str | Fixture,
        *,
        server: AdbServer,
        image: Path,
        folder: Path,
        access: str = "open",
        noexec: bool = False,
    ) -> None:
        self.fixture = load_fixture(fixture) if isinstance(fixture, str) else fixture
        self.server = server
        self._folder = folder
        self._lock = threading.Lock()
        (folder / "root").mkdir(parents=True)
        self._process = self._boot(image_without(image, self.fixture.missing), noexec=noexec)
        try:
            self._ask("set_access", access=access)
            self.port = int(self._ask("plug"))
        except BaseException:
            self._process.communicate()
            raise
        #: By which adb knows it.
        self.serial = f"127.0.0.1:{self.port}"
        #: Where its files are on the host, as its own processes see them.
        self.root = self._find_root()

    def connect(self) -> str:
        """Connect adb to it; return what adb said."""
        # A connection that was lost is offline until adb tries again by itself, a second later.
        self.server.adb("disconnect", self.serial)
        return self.server.adb("connect", self.serial).stdout.decode().strip()

    def find(self) -> None:
        """Let adb know of it, in whatever state: it may not answer, or not let adb in."""
        with self.server.start_adb("connect", self.serial) as connecting:
            self.wait_until(lambda: self.serial in self.server.devices())
            # Of a phone that does not answer, adb waits for ten seconds.
            connecting.kill()

    def adb(self, *words: object, **more: Any) -> subprocess.CompletedProcess[bytes]:
        """Run adb for it to the end; see :meth:`AdbServer.adb`."""
        return self.server.adb("-s", self.serial, *words, **more)

    @contextmanager
    def running(self, *words: object) -> Iterator[subprocess.Popen[bytes]]:
        """Start adb for it, with pipes; kill it at the end of the block."""
        process = self.server.start_adb("-s", self.serial, *words)
        try:
            with process:
                yield process
                process.kill()
        finally:
            process.kill()

    def stop(self) -> None:
        """End it, with all that runs on it; a mistake in the phone itself is an error."""
        self.server.adb("disconnect", self.serial)
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(timeout=30)
        if self._process.stdout is not None:
            self._process.stdout.close()
        said = (self._folder / "errors").read_text(errors="replace")
        shutil.rmtree(self._folder)
        if said:
            raise AssertionError(f"the test phone went wrong:\n{said}")

    def plug(self) -> None:
        """Plug it in again, and connect adb to it."""
        self._ask("plug")
        self.connect()

    def unplug(self) -> None:
        """Break every connection, and refuse new ones."""
        self._ask("unplug")

    def set_access(self, access: str) -> None:
        """Change who may connect from now on; see the parameter `access`."""
        self._ask("set_access", access=access)

    def add_fault(self, match: str, action: str, **more: Any) -> None:
        """Let something go wrong from now on; see `Fault`."""
        self._ask("add_fault", **asdict(Fault(match, action, **more)))

    def clear_faults(self) -> None:
        """Let nothing more go wrong."""
        self._ask("clear_faults")

    @property
    def faults_fired(self) -> int:
        """How many faults have happened."""
        return int(self._ask("fired"))

    def heat(self, *steps: dict[str, float]) -> None:
        """Change how warm it is: each reading takes the next of `steps`, and the last one stays.

        A step may have ``status``, ``skin`` and ``battery`` (degrees Celsius).
        """
        self._ask("heat", steps=list(steps))

    def state(self) -> dict[str, Any]:
        """Return all that can be set on it, to compare before and after."""
        return dict(self._ask("state"))

    @property
    def settings(self) -> dict[str, dict[str, str]]:
        """Its settings, by table (``global``, ``system``, ``secure``) and key."""
        return dict(self.state()["settings"])

    @property
    def log(self) -> list[Entry]:
        """Every request that came, in order."""
        return [Entry(*each) for each in self._ask("log")]

    def lines(self, kind: str) -> list[str]:
        """Return the requests of one kind that came: shell, exec, sync, system or refused."""
        return [each.text for each in self.log if each.kind == kind]

    def processes(self) -> list[list[str]]:
        """Return the command line of each process that runs on it now."""
        return [each["argv"] for each in self._ask("processes")]

    def wait_until(self, condition: Callable[[], object], timeout_s: float = 5.0) -> None:
        """Wait until `condition` holds; raise `TimeoutError` where it does not."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError
            time.sleep(0.02)

    def files(self, folder: str = "data/local/tmp") -> list[str]:
        """Return the path, below `folder`, of all that lies there."""
        base = self.root / folder
        return sorted(str(each.relative_to(base)) for each in base.rglob("*"))

    def reset(self) -> None:
        """Forget its log and its faults, and remove the files that were pushed."""
        self._ask("reset")
        for each in (self.root / "data/local/tmp").iterdir():
            if each.is_dir() and not each.is_symlink():
                shutil.rmtree(each)
            else:
                each.unlink()

    def _boot(self, image: Path, *, noexec: bool) -> subprocess.Popen[str]:
        values = {"fixture": asdict(self.fixture), "image": str(image), "noexec": noexec}
        told = self._folder / "phone.json"
        told.write_text(json.dumps(values), encoding="utf-8")
        device = [sys.executable, "-m", "tests.phone.device", str(self._folder / "root"), str(told)]
        with (self._folder / "errors").open("wb") as errors:
            return subprocess.Popen(
                # That shell takes care of processes whose parent has ended.
                [*NAMESPACES, "sh", "-c", '"$@"; exit', "sh", *device],
                cwd=_PROJECT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )

    def _find_root(self) -> Path:
        """Return the phone's root through the process that is first in its namespaces."""
        pid = self._process.pid
        (first,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return Path(f"/proc/{first}/root{self._folder / 'root'}")

    def _ask(self, do: str, **words: Any) -> Any:
        with self._lock:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            with suppress(BrokenPipeError):
                self._process.stdin.write(json.dumps({"do": do, "with": words}) + "\n")
                self._process.stdin.flush()
            line = self._process.stdout.readline()
        if not line:
            said = (self._folder / "errors").read_text(errors="replace")
            raise RuntimeError(f"the test phone ended: {said}")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["said"]

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
