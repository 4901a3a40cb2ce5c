"""Damaged, misleading and hostile packages end in an error that says what is wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from lightmobile.errors import LightmobileError, UsageError, VerificationError
from lightmobile.export.verification.mil import MilProgram
from tests.mil.packages import write_module

Model_pb2 = pytest.importorskip("coremltools.proto.Model_pb2")

MODEL = "Data/com.apple.CoreML/model.mlmodel"
WEIGHTS = "Data/com.apple.CoreML/weights/weight.bin"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 32))
    folder = tmp_path_factory.mktemp("original")
    path = write_module(folder / "a.mlpackage", module, torch.randn(1, 3, 4, 4))
    # The date of conversion lies there; without it the bytes are always the same.
    change_model(path, lambda model: model.description.metadata.Clear())
    return path


@pytest.fixture
def package(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "a.mlpackage"))


def run(path: Path) -> np.ndarray[Any, Any]:
    program = MilProgram.load(path)
    x = np.linspace(-1, 1, 48, dtype=np.float32).reshape(1, 3, 4, 4)
    (result,) = program.run(dict.fromkeys(program.inputs, x)).values()
    return result


def change_manifest(package: Path, **entry: str) -> None:
    file = package / "Manifest.json"
    manifest = json.loads(file.read_text())
    manifest["itemInfoEntries"][manifest["rootModelIdentifier"]] |= entry
    file.write_text(json.dumps(manifest))


def change_model(package: Path, change: Callable[[Any], None]) -> None:
    file = package / MODEL
    model = Model_pb2.Model.FromString(file.read_bytes())
    change(model)
    file.write_bytes(model.SerializeToString())


def operations(model: Any) -> Any:
    (function,) = model.mlProgram.functions.values()
    (block,) = function.block_specializations.values()
    return block.operations


def blobs(model: Any) -> list[Any]:
    values = [v for op in operations(model) for v in op.attributes.values()]
    return [v.blobFileValue for v in values if v.WhichOneof("value") == "blobFileValue"]


def test_flipped_sign_of_a_weight_changes_the_output(package: Path) -> None:
    before = run(package)
    weight = max(MilProgram.load(package).weights().values(), key=np.size)
    largest = weight.flat[abs(weight).argmax()].tobytes()
    content = (package / WEIGHTS).read_bytes()
    assert content.count(largest) == 1
    (package / WEIGHTS).write_bytes(
        content.replace(largest, (-np.frombuffer(largest, np.float32)).tobytes())
    )
    assert abs(run(package) - before).max() > 1e-3


def test_changed_operator_changes_the_output(package: Path) -> None:
    before = run(package)

    def change(model: Any) -> None:
        (relu,) = (op for op in operations(model) if op.type == "relu")
        relu.type = "tanh"

    change_model(package, change)
    assert abs(run(package) - before).max() > 1e-3


@pytest.mark.parametrize("missing", ["Manifest.json", MODEL, WEIGHTS])
def test_missing_file(missing: str, package: Path) -> None:
    (package / missing).unlink()
    with pytest.raises((UsageError, VerificationError), match=Path(missing).name):
        MilProgram.load(package)


def test_not_a_package(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Cannot read"):
        MilProgram.load(tmp_path / "absent.mlpackage")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff\xfe", b'{"rootModelIdentifier": 1}', b"[" * 100_000]
)
def test_damaged_manifest(content: bytes, package: Path) -> None:
    (package / "Manifest.json").write_bytes(content)
    with pytest.raises(UsageError, match="not a Core ML package"):
        MilProgram.load(package)


@pytest.mark.parametrize("path", ["../../../outside", "/etc/hostname", "\0", "x" * 5000, ""])
def test_manifest_pointing_elsewhere(path: str, package: Path) -> None:
    shutil.copy(package / MODEL, package.parent / "outside")
    change_manifest(package, path=path)
    with pytest.raises(VerificationError, match="The package"):
        MilProgram.load(package)


@pytest.mark.parametrize("file", [MODEL, WEIGHTS])
def test_links_out_of_the_package(file: str, package: Path) -> None:
    outside = package.parent / "outside"
    shutil.move(package / file, outside)
    (package / file).symlink_to(outside)
    with pytest.raises(VerificationError, match="outside of itself"):
        MilProgram.load(package)


@pytest.mark.parametrize(
    "file", ["/etc/hostname", "@model_path/other/weight.bin", "@model_path/weights/../weight.bin"]
)
def test_weights_read_from_elsewhere(file: str, package: Path) -> None:
    """coremltools reads weights/<last part>, Core ML would read another file."""

    def change(model: Any) -> None:
        blobs(model)[0].fileName = file

    change_model(package, change)
    with pytest.raises(VerificationError, match="reads weights from"):
        MilProgram.load(package)


@pytest.mark.parametrize("offset", [0, 1, 63, 10**6, 2**40, 2**63, 2**64 - 64])
def test_offset_out_of_range(offset: int, package: Path) -> None:
    def change(model: Any) -> None:
        blobs(model)[0].offset = offset

    change_model(package, change)
    with pytest.raises(VerificationError, match="Cannot load the program"):
        MilProgram.load(package)


@pytest.mark.parametrize("size", [0, 1, 70, 200])
def test_truncated_weights(size: int, package: Path) -> None:
    (package / WEIGHTS).write_bytes((package / WEIGHTS).read_bytes()[:size])
    with pytest.raises(VerificationError):
        MilProgram.load(package)


@pytest.mark.parametrize("content", [b"\xff" * 64, b"not a model", b"\x0a\xff\xff\xff\xff\x0f"])
def test_damaged_model(content: bytes, package: Path) -> None:
    (package / MODEL).write_bytes(content)
    with pytest.raises(UsageError, match="not a Core ML model"):
        MilProgram.load(package)


def test_empty_model(package: Path) -> None:
    (package / MODEL).write_bytes(b"")
    with pytest.raises(VerificationError, match="not an ML program"):
        MilProgram.load(package)


def test_unknown_operator_type(package: Path) -> None:
    def change(model: Any) -> None:
        operations(model)[-1].type = "no_such_operator"

    change_model(package, change)
    with pytest.raises(VerificationError, match="no_such_operator"):
        MilProgram.load(package)


def test_second_function(package: Path) -> None:
    def change(model: Any) -> None:
        model.mlProgram.functions["other"].CopyFrom(model.mlProgram.functions["main"])

    change_model(package, change)
    with pytest.raises(VerificationError, match="2 functions: main, other"):
        MilProgram.load(package)


def test_second_specialization(package: Path) -> None:
    """A newer system would run another block than the one that was verified."""

    def change(model: Any) -> None:
        function = model.mlProgram.functions["main"]
        function.block_specializations["CoreML8"].CopyFrom(
            function.block_specializations[function.opset]
        )

    change_model(package, change)
    with pytest.raises(VerificationError, match="CoreML6, CoreML8"):
        MilProgram.load(package)


def test_name_defined_twice(package: Path) -> None:
    def change(model: Any) -> None:
        steps = operations(model)
        steps[-1].outputs[0].name = steps[0].outputs[0].name

    change_model(package, change)
    with pytest.raises(VerificationError, match="twice"):
        MilProgram.load(package)


def test_shape_other_than_computed(package: Path) -> None:
    def change(model: Any) -> None:
        declared = operations(model)[-1].outputs[0].type.tensorType
        declared.dimensions[-1].constant.size = 31

    change_model(package, change)
    with pytest.raises(VerificationError, match="Cannot load the program"):
        MilProgram.load(package)


def test_flexible_input(package: Path) -> None:
    def change(model: Any) -> None:
        (value,) = model.mlProgram.functions["main"].inputs
        value.type.tensorType.dimensions[0].unknown.variadic = False

    change_model(package, change)
    with pytest.raises(LightmobileError):
        MilProgram.load(package)


def test_random_damage_never_ends_in_another_exception(package: Path) -> None:
    content = (package / MODEL).read_bytes()
    rng = np.random.default_rng(0)
    failures = 0
    for _ in range(100):
        damaged = bytearray(content)
        for place in rng.integers(0, len(content), 3):
            damaged[place] = rng.integers(256)
        (package / MODEL).write_bytes(damaged)
        try:
            run(package)
        except LightmobileError:
            failures += 1
    assert failures > 50
