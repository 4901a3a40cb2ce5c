import errno
import hashlib
import os
import re

import pytest

from lightmobile.errors import UsageError
from lightmobile.export.artifact import disk_error, file_name, install, sha256_of, size_of, slug
from lightmobile.export.spec import ExportSpec


@pytest.mark.parametrize("name", ["fasternet_t0", "regnety_400mf", "7b"])
def test_a_plain_name_is_its_own_slug(name):
    assert slug(name) == name


HARD_NAMES = [
    "regnety_400mf@dWr:8",
    "regnety_400mf@dwr:8",
    "regnety_400mf-dwr-8",
    "FasterNet_T0",
    "fasternet_t0-b4",
    "a/b",
    "../../etc/passwd",
    "con",
    "nul",
    "com1",
    "",
    ".",
    "net ",
    "net.",
    "näht",
    "網",
    "x" * 300,
    "x" * 301,
]


def test_slugs_are_safe_and_distinct_where_case_is_folded():
    slugs = [slug(name) for name in HARD_NAMES] + ["fasternet_t0", "regnety_400mf"]
    assert len({one.lower() for one in slugs}) == len(slugs)
    for one in slugs:
        assert re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,120}", one), one
        assert one not in {"con", "nul", "com1"}


@pytest.mark.parametrize(
    ("choices", "name"),
    [
        ({}, "fasternet_t0.xnnpack.fp32.pte"),
        ({"backend": "portable", "precision": "fp16"}, "fasternet_t0.portable.fp16.pte"),
        ({"batch": 4}, "fasternet_t0-b4.xnnpack.fp32.pte"),
        ({"input_size": (192, 256), "batch": 2}, "fasternet_t0-192x256-b2.xnnpack.fp32.pte"),
    ],
)
def test_the_file_name_says_what_is_unusual(choices, name):
    assert file_name("fasternet_t0", ExportSpec("executorch", **choices), ".pte") == name


def test_the_layout_is_in_the_name():
    spec = ExportSpec("tflite", layout="nhwc")
    assert file_name("fasternet_t0", spec, ".tflite") == "fasternet_t0-nhwc.tflite.fp32.tflite"


def folder_of(path, **files):
    for name, text in files.items():
        file = path / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return path


def test_the_hash_of_a_file_is_its_sha256(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    assert sha256_of(tmp_path / "x") == hashlib.sha256(b"abc").hexdigest()


def test_the_hash_of_a_folder_is_of_names_and_contents(tmp_path):
    base = folder_of(tmp_path / "base", a="1", b__c="2")
    same = folder_of(tmp_path / "same", b__c="2", a="1")
    others = [
        folder_of(tmp_path / "content", a="1", b__c="3"),
        folder_of(tmp_path / "name", a="1", b__d="2"),
        folder_of(tmp_path / "more", a="1", b__c="2", e=""),
        folder_of(tmp_path / "swapped", a="2", b__c="1"),
    ]
    assert sha256_of(base) == sha256_of(same)
    assert len({sha256_of(folder) for folder in [base, *others]}) == 5
    assert size_of(base) == 2


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/etc")])
def test_a_folder_of_links_or_pipes_is_refused(tmp_path, make):
    folder = folder_of(tmp_path / "p", a="1")
    make(folder / "odd")
    with pytest.raises(UsageError, match="odd"):
        sha256_of(folder)


def test_an_absent_file_has_no_hash(tmp_path):
    with pytest.raises(UsageError, match="No such file"):
        sha256_of(tmp_path / "none")


@pytest.mark.parametrize("old", ["nothing", "file", "folder"])
@pytest.mark.parametrize("new", ["file", "folder"])
def test_install_replaces_whatever_was_there(tmp_path, old, new):
    source, destination = tmp_path / "source", tmp_path / "destination"
    for path, kind, text in ((source, new, "new"), (destination, old, "old")):
        if kind == "file":
            path.write_text(text)
        elif kind == "folder":
            folder_of(path, **{f"{text}__x": text})
    install(source, destination)
    assert [path.name for path in tmp_path.iterdir()] == ["destination"]
    found = destination if new == "file" else destination / "new" / "x"
    assert found.read_text() == "new"
    assert not (destination / "old").exists()


def test_a_folder_returns_where_the_new_one_cannot_take_its_place(tmp_path):
    old = folder_of(tmp_path / "x", a="old")
    new = folder_of(old / "inside", a="new")  # it cannot move: its place steps aside with it
    with pytest.raises(OSError, match="No such file"):
        install(new, old)
    assert (old / "a").read_text() == "old"
    assert (old / "inside" / "a").read_text() == "new"


@pytest.mark.parametrize(
    ("code", "words"),
    [(errno.ENOSPC, "no space left"), (errno.EDQUOT, "no space left"), (errno.EACCES, "written")],
)
def test_disk_errors_say_what_to_do(tmp_path, code, words):
    error = disk_error(OSError(code, os.strerror(code)), tmp_path)
    assert words in error.what
    assert str(tmp_path) in error.what
    assert "-o" in error.fix
