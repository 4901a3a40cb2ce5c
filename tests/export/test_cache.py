import json

import pytest

from lightmobile.export import cache
from lightmobile.export.artifact import sha256_of
from lightmobile.export.manifest import manifest_path
from lightmobile.export.spec import ExportSpec
from lightmobile.models.registry import model_info
from tests.verification import networks

KEY = "0" * 64


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LIGHTMOBILE_CACHE", str(tmp_path / "cache"))


@pytest.fixture(params=["file", "folder"])
def artifact(request, tmp_path):
    path = tmp_path / "made" / "net.x"
    path.parent.mkdir()
    if request.param == "file":
        path.write_text("content")
    else:
        path.mkdir()
        (path / "part").write_text("content")
    manifest = networks.manifest(path, "tflite", "fp32", file_sha256=sha256_of(path))
    manifest_path(path).write_text(manifest.to_json())
    return path


def test_what_was_stored_is_found_whole(artifact):
    assert cache.find(KEY, artifact.name) is None
    cache.store(KEY, artifact)
    found = cache.find(KEY, artifact.name)
    assert found
    assert sha256_of(found) == sha256_of(artifact)
    assert cache.find(KEY, "other.x") is None
    (entry,) = cache.entries()
    assert (entry.key, entry.artifact, entry.bytes) == (KEY, "net.x", 7)
    assert json.dumps(entry.to_dict())
    assert cache.clear() == 1
    assert cache.entries() == []
    assert cache.clear() == 0


def damage_content(path):
    file = path if path.is_file() else path / "part"
    file.write_text("c0ntent")


def damage_manifest(path):
    manifest_path(path).write_text("{}")


def remove_manifest(path):
    manifest_path(path).unlink()


@pytest.mark.parametrize("damage", [damage_content, damage_manifest, remove_manifest])
def test_a_damaged_entry_is_none_and_is_replaced(artifact, damage):
    cache.store(KEY, artifact)
    damage(cache.cache_dir() / KEY / artifact.name)
    assert cache.find(KEY, artifact.name) is None
    cache.store(KEY, artifact)
    assert cache.find(KEY, artifact.name)


def test_a_cache_that_cannot_be_written_is_no_error(artifact, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    cache.store(KEY, artifact)
    assert cache.find(KEY, artifact.name) is None
    assert cache.entries() == []


def key(**changes):
    inputs = {
        "facts": model_info("fasternet_t0"),
        "overrides": {},
        "spec": ExportSpec("tflite"),
        "weights": {"seed": 0},
    }
    return cache.key_of(**inputs | changes)


def test_a_key_is_of_everything_that_decides_the_artifact():
    keys = [
        key(),
        key(facts=model_info("fasternet_t1")),
        key(overrides={"num_classes": 10}),
        key(spec=ExportSpec("tflite", batch=2)),
        key(spec=ExportSpec("coreml")),
        key(weights={"seed": 1}),
        key(weights={"checkpoint": "a.pth", "sha256": "00"}),
    ]
    assert len(set(keys)) == len(keys)
    assert key() == key()


def test_versions_are_read_without_importing():
    found = cache.versions_of("torch", "no-such-package")
    assert set(found) == {"lightmobile", "torch"}
