"""A ``.pte`` for Core ML is what the model inside of it says, or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lightmobile.export.spec import ExportSpec
from lightmobile.export.targets import lower
from lightmobile.export.verification.accelerators import CoreMLDelegate

SIZE = (8, 8)


class TwoAnswers(nn.Module):
    """Answers that are told apart by their shapes, the later one computed first."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.one = nn.Conv2d(3, 4, 3)
        self.other = nn.Conv2d(4, 2, 3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = self.one(x)
        return self.other(torch.relu(y)), y


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("coreml") / "net.pte"
    spec = ExportSpec("executorch", "coreml", "fp32")
    lower(TwoAnswers().eval(), spec, path, input_size=SIZE)
    return path


def test_outputs_come_in_the_programs_order(written: Path) -> None:
    image = np.random.default_rng(0).standard_normal((1, 3, *SIZE), np.float32)
    with torch.inference_mode():
        expected = TwoAnswers()(torch.from_numpy(image))
    for one, measured in zip(expected, CoreMLDelegate(written).run(image), strict=True):
        np.testing.assert_allclose(measured, one.numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("found", "damage", "message"),
    [
        # The listing is written backwards.
        (b"metadata.json"[::-1], b"metadata.jsoo"[::-1], "beside the Core ML model"),
        (b"model.mlpackage"[::-1], b"model.mlmodelcc"[::-1], "beside the Core ML model"),
        (b'{"nodes":'[::-1], b'{"modes":'[::-1], "list of the files"),
        (b"CoreMLBackend", b"CoreMLBackenx", "one piece of CoreMLBackend"),
    ],
)
def test_a_damaged_container_is_refused(
    written: Path, found: bytes, damage: bytes, message: str, tmp_path: Path
) -> None:
    sound = written.read_bytes()
    assert found in sound
    path = tmp_path / "damaged.pte"
    path.write_bytes(sound.replace(found, damage))
    with pytest.raises(Exception, match=message):
        CoreMLDelegate(path)
