"""Run a task that reads untrusted files in a limited child process.

The child has a session and a temporary folder of its own, a scrubbed environment, and a time after
which it is killed; it ends with this process, however that ends. It is told what to do by a JSON
file and answers with one: nothing that could hold code passes between the two.

=============  =====================================================================
Linux          limits on memory, processor time, size of files written, core dumps;
               no new privileges; killed by the kernel with its parent
macOS          the same but for memory, which its kernel does not limit; ends when
               its parent's end closes a pipe
Windows        the time-out and the pipe only
=============  =====================================================================
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lightmobile.errors import InternalError, LightmobileError, VerificationError

__all__ = ["Limits", "run_limited"]

_KEPT = (
    *("PATH", "PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"),
    *("LANG", "LC_ALL", "OMP_NUM_THREADS", "NUMBER_OF_PROCESSORS"),
    *("SYSTEMROOT", "SYSTEMDRIVE", "COMSPEC", "PROCESSOR_ARCHITECTURE"),
)
_HOMES = ("HOME", "USERPROFILE", "TMPDIR", "TEMP", "TMP", "XDG_CACHE_HOME")
_MOST_REPLY_BYTES = 1 << 20
_MOST_TEXT = 2000


@dataclass(frozen=True)
class Limits:
    """What a child may use.

    Attributes
    ----------
    seconds
        Wall time; a child that spins is also stopped by its processor time.
    memory_bytes
        Private writable memory (``RLIMIT_DATA``). Libraries and mapped files do not count: torch
        built for CUDA maps gigabytes that it never touches.
    file_bytes
        The largest file it may write.
    """

    seconds: float
    memory_bytes: int = 8 << 30
    file_bytes: int = 64 << 20


def run_limited(task: str, job: dict[str, Any], limits: Limits, subject: str) -> dict[str, Any]:
    """Call `task` in a limited child and return its result.

    Parameters
    ----------
    task
        ``module:function``, a function from `job` to a dict, both of what JSON can hold.
    subject
        The file that is being read, for messages.

    Raises
    ------
    LightmobileError
        What the task raised, of the same class.
    VerificationError
        The child crashed, or reached a limit.
    """
    with tempfile.TemporaryDirectory(prefix="lightmobile-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        order = {"task": task, "job": job, "limits": asdict(limits)}
        (folder / "order.json").write_text(json.dumps(order), encoding="utf-8")
        status = _run(folder, limits, subject)
        reply = _reply(folder)
        log = _plain((folder / "log").read_bytes()[-_MOST_TEXT:].decode(errors="replace"))
    if "error" in reply:
        raise _error(reply["error"])
    if status == 0 and isinstance(reply.get("result"), dict):
        result: dict[str, Any] = reply["result"]
        return result
    raise VerificationError(
        f"Reading {subject} ended the process that read it",
        why=f"{_name(status)}. {log.strip().splitlines()[-1] if log.strip() else ''}".strip(". "),
        fix="The file is damaged, hostile, or needs more memory than there is: export it again",
    )


def _run(folder: Path, limits: Limits, subject: str) -> int:
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    environment |= dict.fromkeys(_HOMES, str(folder))
    # Where other processes want the cores too, threads that spin while they wait for one another
    # made a verification take four times as long.
    environment["OMP_WAIT_POLICY"] = "passive"
    with (folder / "log").open("wb") as log:
        child = subprocess.Popen(
            # -P: no module is taken from the folder.
            [sys.executable, "-P", "-m", "lightmobile.export.verification.worker"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,  # never written to: its end tells the child of ours
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        return child.wait(limits.seconds)
    except subprocess.TimeoutExpired:
        raise VerificationError(
            f"Reading {subject} took longer than {limits.seconds:g} s and was stopped",
            fix="The file is damaged or hostile, or this machine is busy: try again",
        ) from None
    finally:
        _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the child, and what it may have started, however the wait for it ended."""
    if child.poll() is None:
        if sys.platform == "win32":
            child.kill()
        else:
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    if child.stdin:
        child.stdin.close()


def _reply(folder: Path) -> dict[str, Any]:
    path = folder / "reply.json"
    try:
        if path.is_symlink() or path.stat().st_size > _MOST_REPLY_BYTES:
            return {}
        reply = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return reply if isinstance(reply, dict) else {}


def _error(fields: Any) -> LightmobileError:
    texts = fields if isinstance(fields, dict) else {}
    what, why, fix = (_plain(str(texts.get(key, ""))) for key in ("what", "why", "fix"))
    kinds = {kind.code: kind for kind in LightmobileError.__subclasses__()}
    return kinds.get(str(texts.get("code")), InternalError)(what, why=why, fix=fix)


def _plain(text: str) -> str:
    """Return text that no file's author can make a terminal obey."""
    kept = (letter if letter.isprintable() or letter == "\n" else "?" for letter in text)
    return "".join(kept)[-_MOST_TEXT:]


def _name(status: int) -> str:
    if status >= 0:
        return f"Exit status {status}"
    try:
        return signal.strsignal(-status) or f"Signal {-status}"
    except ValueError:
        return f"Signal {-status}"
