"""Run the strict type checker for Linux, macOS and Windows: ``python -m tests.tools.typecheck``.

The packages lie in top-level folders and install below ``lightmobile``; mypy cannot follow an
editable install's import hook, so it is given a folder of links with the installed shape.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LINKS = ROOT / "build" / "typecheck"


def _link() -> None:
    package = LINKS / "lightmobile"
    package.mkdir(parents=True, exist_ok=True)
    sources = {path.name: path for path in (ROOT / "lightmobile").iterdir()}
    sources |= {name: ROOT / name for name in ("models", "export", "device_bench")}
    for stale in package.iterdir():
        stale.unlink()
    for name, source in sources.items():
        if name != "__pycache__":
            (package / name).symlink_to(source, target_is_directory=source.is_dir())


def main() -> int:
    """Check every platform; return the number of them that failed."""
    _link()
    failed = 0
    for platform in sys.argv[1:] or ("linux", "darwin", "win32"):
        command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml")]
        command += ["--cache-dir", str(ROOT / ".mypy_cache"), "--platform", platform]
        failed += subprocess.run(command, cwd=LINKS, check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
