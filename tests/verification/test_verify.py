"""`verify` proves artifacts on disk, and no stranger's file or manifest gets further than that."""

from __future__ import annotations

import json
import os
import shutil
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lightmobile.errors import UsageError, VerificationError
from lightmobile.export.manifest import Manifest, manifest_path
from lightmobile.export.verification.verify import verify
from lightmobile.models.prepared import Prepared, prepare
from tests.verification import networks
from tests.verification.damage import copy, flip

SIZE = (32, 32)
MODEL = "fasternet_t0"
OVERRIDES = {"embed_dim": 8, "depths": [1, 1, 1, 1], "feature_dim": 16, "num_classes": 10}
KINDS = {
    "executorch": ("small.pte", "fp32"),
    "tflite": ("small.tflite", "fp32"),
    "coreml": ("small.mlpackage", "fp16"),
}


@dataclass(frozen=True)
class Small:
    """A small FasterNet's artifact, its manifest beside it."""

    path: Path
    manifest: Manifest
    prepared: Prepared

    def copy(self, folder: Path, **changes: Any) -> Path:
        path = copy(self.path, folder)
        networks.write_manifest(path, self.manifest, **changes)
        return path


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return prepare(MODEL, input_size=SIZE, overrides=OVERRIDES)


def lower(prepared: Prepared, target: str, folder: Path) -> Small:
    name, precision = KINDS[target]
    path = folder / name
    networks.export(prepared.deployed, target, path, precision, size=SIZE)
    manifest = networks.manifest(
        path,
        target,
        precision,
        model=MODEL,
        overrides=OVERRIDES,
        input_size=SIZE,
        weights=prepared.weights,
        preprocessing=vars(prepared.facts.preprocessing),
    )
    networks.write_manifest(path, manifest)
    return Small(path, manifest, prepared)


@pytest.fixture(scope="module", params=KINDS)
def small(
    request: pytest.FixtureRequest, prepared: Prepared, tmp_path_factory: pytest.TempPathFactory
) -> Small:
    return lower(prepared, request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def tflite(prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Small:
    return lower(prepared, "tflite", tmp_path_factory.mktemp("tflite"))


def test_a_sound_artifact_passes(small: Small) -> None:
    verification = verify(small.path)
    assert verification.hash_ok
    assert verification.parity.samples == 80
    assert verification.parity.weights_compared > 10
    assert json.loads(json.dumps(verification.to_dict()))["parity"]["top1_agreement"] == 1.0


def test_a_flipped_sign_fails_by_hash_and_by_numbers(small: Small, tmp_path: Path) -> None:
    path = small.copy(tmp_path)
    bias = small.prepared.deployed.state_dict()["head.bias"].numpy()
    flip(path, bias, small.manifest.precision)
    with pytest.raises(VerificationError, match="not the file its manifest was written for"):
        verify(path)
    with pytest.raises(VerificationError, match=r"head\.bias"):
        verify(path, ignore_hash=True)


def truncate(path: Path) -> None:
    with path.open("rb+") as file:
        file.truncate(path.stat().st_size // 2)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def fill_with_garbage(path: Path) -> None:
    """Keep what tells the format, and nothing else."""
    head = path.read_bytes()[:64]
    path.write_bytes(head + bytes(range(256)) * 64)


def declare_huge(path: Path) -> None:
    """Make every list of the file four thousand million items long."""
    data = path.read_bytes()
    for count in (1, 2, 3, 4, 8, 10):
        data = data.replace(struct.pack("<I", count), b"\xff\xff\xff\xff")
    path.write_bytes(data[:4] + path.read_bytes()[4:8] + data[8:])


@pytest.mark.parametrize("damage", [truncate, declare_huge])
def test_a_damaged_file_is_a_message(small: Small, damage: Any, tmp_path: Path) -> None:
    path = small.copy(tmp_path)
    for file in [path] if path.is_file() else [f for f in path.rglob("*") if f.is_file()]:
        damage(file)
    with pytest.raises((VerificationError, UsageError), match=r"small|package"):
        verify(path, ignore_hash=True)


@pytest.mark.parametrize("damage", [empty, fill_with_garbage])
def test_a_file_of_nothing_is_a_message(tflite: Small, damage: Any, tmp_path: Path) -> None:
    path = tflite.copy(tmp_path)
    damage(path)
    with pytest.raises(VerificationError, match=r"small\.tflite cannot be loaded"):
        verify(path, ignore_hash=True)


def test_an_artifact_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no artifact"):
        verify(tmp_path / "x.pte")


def test_an_artifact_without_a_manifest(tflite: Small, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no readable manifest"):
        verify(copy(tflite.path, tmp_path))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"file": "../small.tflite"}, "not small.tflite's manifest"),
        ({"input_size": (10**9, 10**9)}, "inputs of 3x1000000000x1000000000"),
        ({"input_size": (0, -5)}, "inputs of 3x0x-5"),
        ({"batch": 10**12}, "1000000000000 inputs"),
        ({"layout": "chwn"}, "layout 'chwn'"),
        ({"model": "../../fasternet_t0"}, "no model"),
        ({"overrides": {"embed_dim": 10**9}}, "cannot be built"),
        ({"overrides": {"no_such_option": 1}}, "cannot be built"),
        ({"target": "abacus"}, "abacus"),
    ],
)
def test_a_hostile_manifest_is_refused(
    tflite: Small, changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        verify(tflite.copy(tmp_path, **changes))


@pytest.mark.parametrize("seed", [None, -1, 2**64])
def test_a_seed_that_cannot_be_is_refused(tflite: Small, seed: int | None, tmp_path: Path) -> None:
    weights = tflite.manifest.weights.model_copy(update={"seed": seed})
    with pytest.raises(UsageError, match="no possible seed"):
        verify(tflite.copy(tmp_path, weights=weights))


@pytest.mark.parametrize(
    "text",
    [b"", b"\x00\xff", b"[]", b'{"schema": 2}', b"[" * 100_000, b'{"schema": 1, "batch": 1e999}'],
)
def test_a_damaged_manifest_is_refused(tflite: Small, text: bytes, tmp_path: Path) -> None:
    path = tflite.copy(tmp_path)
    manifest_path(path).write_bytes(text)
    with pytest.raises(UsageError, match="not a manifest"):
        verify(path)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes in folders")
@pytest.mark.parametrize("which", ["artifact", "manifest"])
def test_a_pipe_is_not_read(tflite: Small, which: str, tmp_path: Path) -> None:
    path = tflite.copy(tmp_path)
    pipe = path if which == "artifact" else manifest_path(path)
    pipe.unlink()
    os.mkfifo(pipe)
    with pytest.raises(UsageError):
        verify(path)


def test_untrained_weights_that_cannot_be_made_again(tflite: Small, tmp_path: Path) -> None:
    weights = tflite.manifest.weights.model_copy(update={"seed": 1})
    with pytest.raises(VerificationError, match="cannot be made again"):
        verify(tflite.copy(tmp_path, weights=weights))


def test_an_artifact_of_a_checkpoint_needs_that_checkpoint(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    files = [tmp_path / "one.safetensors", tmp_path / "two.safetensors"]
    for seed, file in enumerate(files):
        source = prepare(MODEL, seed=seed, input_size=SIZE, overrides=OVERRIDES)
        save_file(source.training.float().state_dict(), file)
    right, wrong = files
    trained = prepare(MODEL, checkpoint=right, input_size=SIZE, overrides=OVERRIDES)
    path = lower(trained, "tflite", tmp_path).path
    assert verify(path, checkpoint=right).hash_ok
    with pytest.raises(UsageError, match=r"--checkpoint: it was called 'one\.safetensors'"):
        verify(path)
    with pytest.raises(UsageError, match="not exported from this checkpoint"):
        verify(path, checkpoint=wrong)


def test_a_checkpoint_for_untrained_weights_is_refused(tflite: Small, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Leave --checkpoint out"):
        verify(tflite.path, checkpoint=tmp_path / "x.pth")


def test_a_link_out_of_a_package_is_refused(tflite: Small, tmp_path: Path) -> None:
    folder = tmp_path / "x.mlpackage"
    folder.mkdir()
    shutil.copyfile(tflite.path, folder / "a")
    (folder / "b").symlink_to(tflite.path)
    manifest_path(folder).write_text(
        tflite.manifest.model_copy(update={"file": folder.name}).to_json()
    )
    with pytest.raises(UsageError, match="neither a file nor a folder"):
        verify(folder)
