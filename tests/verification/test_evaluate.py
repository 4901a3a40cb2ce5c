"""`evaluate` counts what an artifact recognises, on images whose classes PyTorch told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from lightmobile.errors import UsageError, VerificationError
from lightmobile.export.verification.evaluate import evaluate
from lightmobile.models.preprocessing import Preprocessing, preprocess
from tests.verification import networks

PREPROCESSING = Preprocessing(16, networks.SIZE, "bilinear", (0.5,) * 3, (0.25,) * 3)
LABELS = ("ant", "bee", "cat", "dog", "eel")


@pytest.fixture(scope="module")
def artifact(net: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the tiny network's TFLite file; three images at a time."""
    path = tmp_path_factory.mktemp("evaluate") / "tiny.tflite"
    networks.export(net, "tflite", path, "fp32", batch=3)
    networks.write_manifest(path, networks.manifest(path, "tflite", "fp32", batch=3))
    return path


@pytest.fixture(scope="module")
def images(net: nn.Module) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return twenty images of the input's size, each with its classes, best first."""
    pixels = np.random.default_rng(0).integers(256, size=(20, *networks.SIZE, 3), dtype=np.uint8)
    with torch.inference_mode():
        logits = net(torch.from_numpy(preprocess(pixels, PREPROCESSING)))
    return list(zip(pixels, logits.argsort(dim=1, descending=True).numpy(), strict=True))


def write(images: list[tuple[np.ndarray, np.ndarray]], folder: Path, names: object, rank: int):
    """Put each image into the folder of its class of `rank`, 0 being the best."""
    for name in names:
        (folder / name).mkdir(parents=True)
    for index, (pixels, classes) in enumerate(images):
        Image.fromarray(pixels).save(folder / names[classes[rank]] / f"{index}.png")


@pytest.mark.parametrize(("rank", "top1"), [(0, 1.0), (1, 0.0)])
def test_top1_and_top5(
    artifact: Path, images: list, rank: int, top1: float, tmp_path: Path
) -> None:
    write(images, tmp_path, "01234", rank)
    evaluation = evaluate(artifact, tmp_path)
    assert evaluation.to_dict() == {"top1": top1, "top5": 1.0, "samples": 20, "method": "litert"}


def test_labels_tell_the_classes_of_folders(
    artifact: Path, images: list, net: nn.Module, tmp_path: Path
) -> None:
    path = tmp_path / artifact.name
    path.write_bytes(artifact.read_bytes())
    labels = LABELS[::-1]
    manifest = networks.manifest(path, "tflite", "fp32", batch=3, labels=labels)
    networks.write_manifest(path, manifest)
    write(images, tmp_path / "data", labels, 0)
    assert evaluate(path, tmp_path / "data").top1 == 1.0


def test_sorted_folders_are_the_classes(artifact: Path, images: list, tmp_path: Path) -> None:
    write(images, tmp_path, LABELS, 0)
    assert evaluate(artifact, tmp_path).top1 == 1.0


def test_a_limit_is_spread_over_the_classes(artifact: Path, images: list, tmp_path: Path) -> None:
    write(images, tmp_path, LABELS, 0)
    assert evaluate(artifact, tmp_path, limit=7).samples == 7


def test_an_unreadable_image_is_named(artifact: Path, images: list, tmp_path: Path) -> None:
    write(images, tmp_path, LABELS, 0)
    (tmp_path / "cat" / "broken.jpg").write_bytes(b"\xff\xd8\xff no more")
    with pytest.raises(UsageError, match=r"broken\.jpg"):
        evaluate(artifact, tmp_path)


def test_an_artifact_that_answers_nothing_recognises_nothing(images: list, tmp_path: Path) -> None:
    net = networks.tiny_net()
    net.head.weight.zero_()
    net.head.bias.zero_()
    path = tmp_path / "zero.tflite"
    networks.export(net, "tflite", path, "fp32")
    networks.write_manifest(path, networks.manifest(path, "tflite", "fp32"))
    write(images[:3], tmp_path / "data", LABELS, 0)
    assert evaluate(path, tmp_path / "data").top1 == 0.0


def test_folders_that_are_no_classes(artifact: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no folder"):
        evaluate(artifact, tmp_path / "absent")
    (tmp_path / "odd").mkdir()
    with pytest.raises(UsageError, match="cannot be told to the model's 5 classes"):
        evaluate(artifact, tmp_path)
    (tmp_path / "odd").rename(tmp_path / "7")
    with pytest.raises(UsageError, match="class 7"):
        evaluate(artifact, tmp_path)
    (tmp_path / "7").rename(tmp_path / "4")
    with pytest.raises(UsageError, match="There are no images"):
        evaluate(artifact, tmp_path)


def test_a_limit_of_nothing(artifact: Path, images: list, tmp_path: Path) -> None:
    write(images, tmp_path, LABELS, 0)
    with pytest.raises(UsageError, match="measure nothing"):
        evaluate(artifact, tmp_path, limit=0)


def test_a_changed_artifact_is_refused(artifact: Path, images: list, tmp_path: Path) -> None:
    path = tmp_path / artifact.name
    path.write_bytes(artifact.read_bytes() + b"\0")
    networks.write_manifest(
        path, networks.manifest(path, "tflite", "fp32", batch=3), file_sha256="0" * 64
    )
    write(images, tmp_path / "data", LABELS, 0)
    with pytest.raises(VerificationError, match="not the file"):
        evaluate(path, tmp_path / "data")
