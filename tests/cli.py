"""Run the command line as a user does: a process of its own, both streams kept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMMAND = (sys.executable, "-m", "lightmobile")
# A shell lets its background jobs ignore Ctrl-C, and they hand that on; this one hears it.
INTERRUPTIBLE = (
    sys.executable,
    "-c",
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from lightmobile.__main__ import main; main()",
)


@dataclass(frozen=True)
class Outcome:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on standard output."""
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, str]:
        """The error that ``--json`` promises, checked for its form."""
        error: dict[str, str] = self.json["error"]
        assert set(error) == {"code", "what", "why", "fix"}
        return error


def lightmobile(
    *words: str | Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    prefix: tuple[str, ...] = (),
    timeout: float = 240,
) -> Outcome:
    """Run ``lightmobile WORDS``; no traceback may ever reach the user."""
    done = subprocess.run(
        [*prefix, *COMMAND, *map(str, words)],
        capture_output=True,
        text=True,
        env={**os.environ, **(env or {})},
        cwd=cwd,
        timeout=timeout,
        check=False,
    )
    outcome = Outcome(done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in outcome.err, outcome.err
    return outcome
