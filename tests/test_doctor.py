from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest

from lightmobile.doctor import Check, diagnose


def _checks() -> dict[str, Check]:
    return {check.name: check for check in diagnose()}


def _install(folder: Path, name: str, installed: str, requirements: str = "") -> None:
    """Put the metadata of an installed package into `folder`, as an installer writes it."""
    info = folder / f"{name.replace('-', '_')}-{installed}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {installed}\n{requirements}\n"
    )


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of packages that comes before those that are really installed."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_this_environment_is_whole() -> None:
    checks = _checks()
    for name in ("python", "torch", "executorch", "ai-edge-litert", "scikit-learn", "cache"):
        assert checks[name].ok, checks[name]
        assert checks[name].fix == ""
    assert checks["torch"].found == version("torch")
    assert checks["python"].found == sys.version.split()[0]


def test_every_check_says_what_it_enables_and_how_to_mend_it() -> None:
    for check in diagnose():
        assert check.enables
        assert bool(check.fix) != check.ok
        assert set(check.to_dict()) == {"name", "ok", "found", "enables", "fix"}


def test_a_version_outside_the_tested_ones_is_told(installed: Path) -> None:
    _install(installed, "torch", "2.12.1")
    check = _checks()["torch"]
    assert not check.ok
    assert check.found.startswith("2.12.1, tested is ")
    assert check.fix == 'pip install "torch<2.15,>=2.13"'


def test_a_newer_build_of_a_tested_version_is_fine(installed: Path) -> None:
    _install(installed, "torch", "2.14.0+cpu")
    assert _checks()["torch"].ok


def test_what_is_not_for_this_system_is_told_apart(installed: Path) -> None:
    _install(
        installed,
        "lightmobile",
        "0.1.0",
        "Requires-Python: <3\n"
        'Requires-Dist: coremltools==9.0; sys_platform == "plan9" and extra == "coreml"',
    )
    checks = _checks()
    assert "not offered for" in checks["coremltools"].fix
    assert not checks["python"].ok
    assert checks["python"].fix == "Install Python <3"


def test_what_is_missing_or_damaged_is_told(tmp_path: Path) -> None:
    _install(
        tmp_path,
        "lightmobile",
        "0.1.0",
        "Requires-Dist: torch<2.15,>=2.13\n"
        'Requires-Dist: executorch==1.5.1; extra == "executorch"\n'
        'Requires-Dist: scikit-learn>=1.5; extra == "photos"',
    )
    _install(tmp_path, "executorch", "1.5.1")
    # Once loaded, the doctor looks at a path with the standard library and nothing else.
    script = (
        "import json, sys, lightmobile.doctor as doctor\n"
        "import lightmobile.export.cache, lightmobile.device_bench.store\n"
        f"sys.path[:] = [{str(tmp_path)!r}, *(p for p in sys.path if 'site-packages' not in p)]\n"
        "print(json.dumps([check.to_dict() for check in doctor.diagnose()]))"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    checks = {check["name"]: check for check in json.loads(ran.stdout)}
    assert [checks[name]["ok"] for name in ("torch", "scikit-learn", "executorch")] == [False] * 3
    assert checks["torch"]["found"] == ""
    assert checks["torch"]["fix"] == 'pip install "torch<2.15,>=2.13"'
    assert checks["scikit-learn"]["fix"] == 'pip install "lightmobile[photos]"'
    assert checks["executorch"]["found"] == "1.5.1, but damaged"


def test_adb_is_looked_for_on_the_path_and_in_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    carried = Path(find_spec("adbutils").origin).parent / "binaries"
    assert _checks()["adb"].found == (shutil.which("adb", path=str(carried)) or "")
    program = tmp_path / ("adb.exe" if os.name == "nt" else "adb")
    program.write_text("")
    program.chmod(0o755)
    assert _checks()["adb"].found == shutil.which("adb") == str(program)


@pytest.mark.parametrize(
    ("name", "variable"), [("cache", "LIGHTMOBILE_CACHE"), ("store", "LIGHTMOBILE_STORE")]
)
def test_a_place_that_cannot_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, variable: str
) -> None:
    monkeypatch.setenv(variable, str(tmp_path / "new" / "folder"))
    assert _checks()[name].ok
    assert not (tmp_path / "new").exists(), "looking makes nothing"
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(variable, str(tmp_path / "file" / "below"))
    check = _checks()[name]
    assert not check.ok
    assert check.fix.startswith(f"Set {variable}")


def test_nothing_heavy_is_imported() -> None:
    script = (
        "import sys; from lightmobile.doctor import diagnose; diagnose()\n"
        "print({'torch', 'numpy', 'executorch', 'coremltools', 'sklearn'} & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    assert ran.stdout.strip() == "set()"
