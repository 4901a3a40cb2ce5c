"""Bundles: pins, what is refused, where they are found; and the real one, built twice."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from importlib.metadata import requires
from pathlib import Path

import pytest

from lightmobile.device_bench.bundle.building import build_bundle
from lightmobile.device_bench.bundle.compiling import check_whole
from lightmobile.device_bench.bundle.debian import Archive
from lightmobile.device_bench.bundle.finding import built_folder, open_bundle, sources_sha256
from lightmobile.device_bench.bundle.manifest import BundleFile, content_hash_of
from lightmobile.device_bench.bundle.pins import PINS, check_pin, read_pins, write_pins
from lightmobile.errors import DeviceError, UsageError
from tests.cli import INTERRUPTIBLE, lightmobile
from tests.conftest import ROOT
from tests.phone.fixture import load_fixture
from tests.phone.tree import make_tree

LIMIT_BYTES = 30 * 2**20
FILES = {
    "SOURCES": b"where they are",
    "licences/debian-libc6": b"free",
    "push/litert_runner": b"\x7fELF one",
    "push/libc.so.6": b"\x7fELF two",
}


def silent(task, phase):
    del task, phase


def entries(files):
    return [
        {
            "path": path,
            "size": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "mode": "755" if path.startswith("push/") else "644",
        }
        for path, content in files.items()
    ]


def write_bundle(folder, **changes):
    """Write a small bundle, whose manifest says what is in it but for `changes`."""
    for path, content in FILES.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    said = {
        "schema": 1,
        "abi": "arm64-v8a",
        "versions": {"executorch": "1.5.1"},
        "compiler": "a compiler",
        "sources_sha256": sources_sha256(),
        "files": entries(FILES),
        "content_hash": content_hash_of(BundleFile(**entry) for entry in entries(FILES)),
    }
    (folder / "bundle.json").write_text(json.dumps(said | changes))
    return folder


def test_the_pins_are_of_the_tested_runtimes():
    asked = {requirement.partition(";")[0].strip() for requirement in requires("lightmobile")}
    pins = read_pins()
    assert {f"{pin.project}=={pin.version}" for pin in pins.wheel} < asked
    names = [name for pin in pins.debian for name in pin.files]
    names += [Path(path).name for pin in pins.wheel for path in pin.files]
    assert len(names) == len(set(names)) == 14


def test_pins_are_written_as_they_are_read(tmp_path):
    file = tmp_path / "pins.toml"
    write_pins(read_pins(), file)
    assert file.read_text() == PINS.read_text()
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('"libc6"', '"-oDir::Etc=/x"', "debian.0.package"),
        ('"libc6"', '"libc6 bash"', "debian.0.package"),
        ('"2.36-9+deb12u14"', '"2.36; reboot"', "debian.0.version"),
        ('"2.36-9+deb12u14"', "236", "debian.0.version"),
        ('"libc.so.6"', '"../libc.so.6"', "debian.0.files.1"),
        ('"executorch/lib/libexecutorch.so"', '"executorch/../x"', "wheel.0.files.0"),
        ('"executorch/lib/libexecutorch.so"', '"/etc/passwd"', "wheel.0.files.0"),
        ('"1.5.1"', '"1.5.1 --index-url=x"', "wheel.0.version"),
        ('sha256 = "', 'sha256 = "A', "sha256"),
        ('project = "executorch"', 'project = "torch"', "other wheels"),
        ("files = []", "files = []\nmode = 1", "debian.3.mode"),
        ("[[debian]]", "[[debian", "line 4"),
    ],
)
def test_pins_that_could_do_harm_are_refused(tmp_path, old, new, why):
    file = tmp_path / "pins.toml"
    file.write_text(PINS.read_text().replace(old, new))
    with pytest.raises(UsageError, match=re.escape(why)):
        read_pins(file)


@pytest.mark.parametrize("command", ["build", "refresh"])
def test_a_file_that_holds_no_pins_is_said(tmp_path, command):
    file = tmp_path / "pins.toml"
    file.write_text("none")
    done = lightmobile("runners", command, "--pins", file, "--json")
    assert done.code == 2
    assert str(file) in done.error["what"]
    assert file.read_text() == "none"


def test_a_part_that_is_not_the_pinned_one_is_refused(tmp_path):
    file = tmp_path / "libc6_2.36_arm64.deb"
    file.write_bytes(b"another")
    with pytest.raises(UsageError, match=r"is not what was pinned.*refresh"):
        check_pin(file, read_pins().debian[0])


def test_a_bundle_tells_what_goes_to_the_phone(tmp_path):
    bundle = open_bundle(write_bundle(tmp_path, more="of a later version"))
    assert [file.name for file in bundle.files] == ["litert_runner", "libc.so.6"]
    assert all(file.is_file() for file in bundle.files)
    assert bundle.size_bytes == sum(map(len, FILES.values()))
    assert bundle.versions == {"executorch": "1.5.1"}
    assert not bundle.is_stale


def _append(folder):
    (folder / "push/libc.so.6").write_bytes(FILES["push/libc.so.6"] + b"!")


def _flip(folder):
    (folder / "push/libc.so.6").write_bytes(b"\x7fELF tw0")


def _link(folder):
    file = folder / "push/libc.so.6"
    file.rename(folder / "elsewhere")
    file.symlink_to(folder / "elsewhere")


def _remove(folder):
    (folder / "licences/debian-libc6").unlink()


def _remove_manifest(folder):
    (folder / "bundle.json").unlink()


@pytest.mark.parametrize("harm", [_append, _flip, _link, _remove, _remove_manifest])
def test_a_bundle_that_was_changed_is_refused(tmp_path, harm):
    harm(write_bundle(tmp_path))
    with pytest.raises(DeviceError, match=r"not as they were built.*runners build"):
        open_bundle(tmp_path)


@pytest.mark.parametrize(
    "path",
    [
        "../x",
        "/etc/passwd",
        "push/../../x",
        "push/..",
        "push\\..\\x",
        "push/a b",
        "push/$(reboot)",
        "push/-rf",
        "push/x\n",
        "bundle.json",
        "",
    ],
)
def test_a_path_that_leads_elsewhere_is_refused(tmp_path, path):
    entry = {**entries(FILES)[2], "path": path}
    with pytest.raises(DeviceError, match=r"bundle\.json: files\.0\.path: "):
        open_bundle(write_bundle(tmp_path, files=[entry]))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"files": [*entries(FILES), entries(FILES)[2]]}, "it names a file twice"),
        ({"files": entries(FILES)[:2]}, "the content hash"),
        ({"files": [{**entries(FILES)[0], "mode": "777"}]}, "files.0.mode"),
        ({"files": [{**entries(FILES)[0], "size": -1}]}, "files.0.size"),
        ({"files": entries(FILES) * 1000}, "files: "),
        ({"schema": 2}, "schema"),
        ({"abi": "x86_64"}, "abi"),
        ({"content_hash": "0" * 64}, "the content hash"),
        ({"sources_sha256": "../"}, "sources_sha256"),
        ({"versions": [1]}, "versions"),
    ],
)
def test_a_hostile_manifest_is_refused(tmp_path, changes, why):
    with pytest.raises(DeviceError, match=re.escape(f"bundle.json: {why}")):
        open_bundle(write_bundle(tmp_path, **changes))


@pytest.mark.parametrize(
    "text", [b"", b"\xff", b"[" * 100_000, b"{}" + b" " * 2_000_000, b'{"schema": 1, "schema": 1}']
)
def test_a_manifest_that_is_none_is_refused(tmp_path, text):
    write_bundle(tmp_path)
    (tmp_path / "bundle.json").write_bytes(text)
    with pytest.raises(DeviceError, match=r"bundle\.json: "):
        open_bundle(tmp_path)


def test_info_is_of_the_bundle_in_the_cache(tmp_path):
    env = {"LIGHTMOBILE_CACHE": str(tmp_path)}
    none = lightmobile("runners", "info", "--json", env=env)
    assert none.code == 5
    assert "lightmobile runners build" in none.error["fix"]

    folder = write_bundle(tmp_path / "runners" / "aarch64")
    done = lightmobile("runners", "info", "--json", env=env)
    assert done.code == 0
    assert done.json["folder"] == str(folder)
    assert done.json["files"] == ["litert_runner", "libc.so.6"]
    assert done.json["stale"] is False
    assert "stale" not in done.err

    write_bundle(folder, sources_sha256="0" * 64)
    done = lightmobile("runners", "info", env=env)
    assert done.code == 0
    assert "arm64-v8a" in done.out
    assert "stale" in done.err

    _flip(folder)
    assert lightmobile("runners", "info", env=env).code == 5


def test_a_wheel_carries_its_bundle_and_the_sources(tmp_path):
    source, site = tmp_path / "source", tmp_path / "site"
    for name in ("lightmobile", "models", "export", "device_bench"):
        ignored = shutil.ignore_patterns("__pycache__", "aarch64")
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    write_bundle(source / "device_bench" / "bundle" / "aarch64")
    uv = Path(sys.executable).with_name("uv")
    words = ["pip", "install", "--quiet", "--offline", "--no-deps", "--no-build-isolation"]
    subprocess.run([uv, *words, "--python", sys.executable, "--target", site, source], check=True)
    env = {"PYTHONPATH": str(site), "LIGHTMOBILE_CACHE": str(tmp_path / "cache")}
    write_bundle(tmp_path / "cache" / "runners" / "aarch64", versions={"executorch": "0"})
    done = lightmobile("runners", "info", "--json", env=env, cwd=tmp_path)
    assert done.code == 0, done.err
    assert Path(done.json["folder"]).is_relative_to(site)
    assert done.json["versions"] == {"executorch": "1.5.1"}
    # The same sources, pins and all, are in the wheel.
    assert done.json["stale"] is False
    refused = lightmobile("runners", "refresh", "--json", env=env, cwd=tmp_path)
    assert refused.code == 2
    assert "--pins FILE" in refused.error["fix"]


def test_everything_that_is_missing_is_named_at_once(tmp_path):
    new = tmp_path / "new"
    done = lightmobile("runners", "build", "-o", new, "--json", env={"PATH": str(tmp_path)})
    assert done.code == 2
    for name in ("apt-get", "dpkg-deb", "cmake", "aarch64-linux-gnu-g++"):
        assert name in done.error["why"]
    assert "on Debian" in done.error["fix"]
    assert not new.exists()


@pytest.mark.tool("dpkg-deb")
@pytest.mark.tool("apt-get")
def test_what_debian_can_install_is_named_as_a_command(tmp_path):
    for name in ("apt-get", "apt-cache", "dpkg-deb", "make"):
        (tmp_path / name).symlink_to(shutil.which(name) or "/bin/true")
    done = lightmobile("runners", "build", "--json", env={"PATH": str(tmp_path)})
    assert done.code == 2
    assert done.error["why"] == "missing: cmake, aarch64-linux-gnu-g++"
    assert done.error["fix"] == "`apt-get install cmake g++-aarch64-linux-gnu`"


@pytest.mark.tool("cmake")
@pytest.mark.tool("aarch64-linux-gnu-g++")
def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter").write_text("one")
    done = lightmobile("runners", "build", "-o", tmp_path / "thesis", "--json")
    assert done.code == 2
    assert "holds no runners" in done.error["what"]
    assert [path.name for path in tmp_path.rglob("*")] == ["thesis", "chapter"]


@pytest.mark.tool("cmake")
@pytest.mark.tool("aarch64-linux-gnu-g++")
@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_build_leaves_nothing(tmp_path, kind):
    command = [*INTERRUPTIBLE, "runners", "build", "-o", str(tmp_path / "new")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".new-*/apt/state/lists/*")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(kind)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []
    lines = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert str(tmp_path) not in lines.stdout


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): (path.read_bytes(), path.stat().st_mode)
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_same_bundle_is_built_twice(built_bundle, tmp_path):
    bundle = built_bundle.bundle
    assert bundle.sources_sha256 == sources_sha256(built_bundle.pins)
    assert bundle.folder == built_folder()
    place = tmp_path / "another place, of another length"
    folder = place / "runners"
    other = build_bundle(folder, silent, built_bundle.pins)
    assert other.content_hash == bundle.content_hash
    assert contents(other.folder) == contents(bundle.folder)
    assert list(place.iterdir()) == [folder]
    for name in ("executorch_runner", "litert_runner"):
        content = (folder / "push" / name).read_bytes()
        assert str(tmp_path).encode() not in content
        assert str(ROOT).encode() not in content


def test_the_bundle_is_small_and_says_whose_it_is(runner_bundle):
    folder = runner_bundle.folder
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= LIMIT_BYTES
    assert len(runner_bundle.files) == 16
    said = (folder / "SOURCES").read_text()
    for file in runner_bundle.files:
        assert file.name in said
    for source in ("glibc", "gcc-12"):
        assert f"offered by Debian as source package {source} " in said
        assert runner_bundle.versions[source] in said
    licences = {file.name: file.read_text() for file in (folder / "licences").iterdir()}
    assert "GCC RUNTIME LIBRARY EXCEPTION" in licences["debian-gcc-12-base"].upper()
    assert "GNU LESSER GENERAL PUBLIC LICENSE" in licences["common-LGPL-2.1"]
    assert "GNU GENERAL PUBLIC LICENSE" in licences["common-GPL-3"]
    assert "Apache License" in licences["ai-edge-litert-LICENSE"]
    assert "Apache License" in licences["lightmobile-LICENSE"]
    assert "Redistribution" in licences["executorch-LICENSE"]


@pytest.mark.parametrize(
    ("runner", "runtime"),
    [("executorch_runner", "executorch"), ("litert_runner", "ai-edge-litert")],
)
def test_the_runners_say_who_they_are(runner_bundle, tmp_path, runner, runtime):
    phone = tmp_path / "phone"
    make_tree(phone, load_fixture("pixel_8"))
    shutil.copy(phone / "kernel" / "cpuinfo", phone / "proc" / "cpuinfo")
    push = runner_bundle.folder / "push"
    emulator = ["qemu-aarch64-static", "-cpu", "cortex-a76", "-L", phone]
    done = subprocess.run(
        [*emulator, "./ld-linux-aarch64.so.1", "--library-path", push, push / runner],
        cwd=push,
        input=json.dumps({"protocol": 1, "op": "hello"}) + "\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["protocol"] == 1
    assert answer["versions"][runtime] == runner_bundle.versions[runtime]


def test_a_library_that_is_missing_or_too_old_is_noticed(runner_bundle, tmp_path):
    push = shutil.copytree(runner_bundle.folder / "push", tmp_path / "push")
    check_whole(push)
    shutil.copy(push / "libdl.so.2", push / "libm.so.6")
    with pytest.raises(UsageError, match=r"needs a newer libm\.so\.6.*GLIBC_2"):
        check_whole(push)
    (push / "libm.so.6").unlink()
    with pytest.raises(UsageError, match=r"needs libm\.so\.6"):
        check_whole(push)


@pytest.mark.slow
@pytest.mark.tool("apt-get")
def test_a_version_that_the_archive_dropped_is_said(tmp_path):
    (tmp_path / "apt").mkdir()
    archive = Archive(tmp_path / "apt")
    now = archive.pin("libgcc-s1", ("libgcc_s.so.1",))
    old = now.model_copy(update={"version": "12.2.0-1"})
    with pytest.raises(UsageError, match=r"no longer has libgcc-s1 12\.2\.0-1 .*runners refresh"):
        archive.download([old])
    other = now.model_copy(update={"sha256": "0" * 64})
    with pytest.raises(UsageError, match="not what was pinned"):
        archive.download([other])
    absent = now.model_copy(update={"package": "no-such-package"})
    with pytest.raises(UsageError, match="offer no no-such-package"):
        archive.download([absent])
    assert archive.download([now])["libgcc-s1"].is_relative_to(tmp_path)
