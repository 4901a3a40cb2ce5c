"""The operators that the GPU delegate leaves alone are told from those it takes."""

from __future__ import annotations

import warnings
from pathlib import Path

import litert_torch
import pytest
import torch
from torch import Tensor, nn

from lightmobile.export.gpu_delegate import Refused, refused
from lightmobile.export.spec import ExportSpec
from lightmobile.export.targets import lower
from tests.export.tiny import SIZE, tiny_fasternet


def convert(module: nn.Module, path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the vendor's own
        litert_torch.convert(module.eval(), (torch.zeros(1, 4, 4, 6),)).export(str(path))
    return path


class Unknown(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.argmax(torch.relu(x), dim=1)


class FiveAxes(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(1, 2, 2, 4, 6).transpose(1, 2).reshape(1, 4, 4, 6)


class FlatSlice(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(16, 6)[2:5]


class Integers(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.to(torch.int32) * 3


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (Unknown(), [Refused("ARG_MAX", 1, "the GPU delegate has no such operator")]),
        (
            FiveAxes(),
            [
                Refused("RESHAPE", 2, "a tensor of it has 5 axes; the delegate takes 4"),
                Refused("TRANSPOSE", 1, "a tensor of it has 5 axes; the delegate takes 4"),
            ],
        ),
        (FlatSlice(), [Refused("SLICE", 1, "its input has 2 axes; the delegate slices 3 or 4")]),
        (Integers(), [Refused("MUL", 1, "it computes with int32")]),  # but casting it is fine
    ],
)
def test_what_it_cannot_do_is_named(
    module: nn.Module, expected: list[Refused], tmp_path: Path
) -> None:
    assert refused(convert(module, tmp_path / "x.tflite")) == expected


def test_a_fasternet_is_taken_whole(tmp_path: Path) -> None:
    path = tmp_path / "x.tflite"
    lower(tiny_fasternet(), ExportSpec("tflite"), path, input_size=SIZE)
    assert refused(path) == []
