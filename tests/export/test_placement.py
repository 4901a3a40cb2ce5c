"""Which operators the delegates take, why they leave the others, and that this can be an error."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from lightmobile.errors import DelegationError, UsageError
from lightmobile.export import cpu_delegate, export, gpu_delegate
from lightmobile.export.artifact import Artifact
from lightmobile.export.manifest import Placement
from lightmobile.export.spec import ExportSpec
from lightmobile.export.targets import lower
from tests.cli import lightmobile
from tests.export.tiny import OVERRIDES, SIZE, tiny_fasternet


class Sums(nn.Module):
    """Between two operators that every delegate knows, one that none of them takes."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cumsum(torch.relu(x), 1) * 2


class FiveAxes(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x).reshape(1, 2, 2, 4, 6).transpose(1, 2).reshape(1, 4, 4, 6).mean(1)


def placed(module: nn.Module, path: Path, **choices: str) -> Placement:
    spec = ExportSpec("executorch", **choices)  # type: ignore[arg-type]
    return lower(module.eval(), spec, path, input_size=SIZE).placements[0]


def converted(module: nn.Module, path: Path) -> Path:
    import litert_torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the vendor's own
        litert_torch.convert(module.eval(), (torch.zeros(1, 4, 4, 6),)).export(str(path))
    return path


def test_xnnpack_says_why_it_leaves_an_operator(tmp_path: Path) -> None:
    placement = placed(tiny_fasternet(act="gelu"), tmp_path / "net.pte", precision="fp16")
    assert placement.undelegated["gelu"] == 4
    assert placement.delegated["gelu"] == 1  # in the head, which is fp32
    assert placement.reasons["gelu"] == "GELU does not support fp16"
    assert "float16 to torch.float32" in placement.reasons["_to_dim_order_copy"]
    assert set(placement.reasons) == set(placement.undelegated)


@pytest.mark.parametrize(
    ("backend", "reason"),
    [
        ("xnnpack", "its partitioner takes no such operator"),
        ("vulkan", "no operator implementation"),
    ],
)
def test_an_operator_that_a_delegate_does_not_know_is_named(
    backend: str, reason: str, tmp_path: Path
) -> None:
    before = loggers()
    placement = placed(Sums(), tmp_path / "net.pte", backend=backend)
    assert (placement.delegate, placement.delegated_subgraphs) == (backend, 2)
    assert placement.undelegated["cumsum"] == 1
    assert placement.reasons["cumsum"] == reason
    assert not placement.whole
    assert loggers() == before


def loggers() -> list[object]:
    names = ("", "executorch.backends.xnnpack.partition.config")
    found = [logging.getLogger(name) for name in names]
    return [(each.level, each.propagate, list(each.handlers)) for each in found]


def test_without_a_delegate_nothing_is_whole(tmp_path: Path) -> None:
    placement = placed(nn.ReLU(), tmp_path / "net.pte", backend="portable")
    assert placement.undelegated == {"relu": 1}
    assert (placement.delegate, placement.reasons, placement.whole) == ("", {}, False)


def test_litert_tells_what_its_xnnpack_replaced(tmp_path: Path) -> None:
    placement = cpu_delegate.placement(converted(Sums(), tmp_path / "x.tflite"))
    assert placement.delegated_subgraphs == 2
    assert placement.delegated == {"RELU": 1, "MUL": 1}
    assert placement.undelegated == {"CUMSUM": 1}
    assert set(placement.reasons) == {"CUMSUM"}


def test_the_gpu_delegate_is_judged_by_its_rules(tmp_path: Path) -> None:
    placement = gpu_delegate.placement(converted(FiveAxes(), tmp_path / "x.tflite"))
    assert placement.delegated_subgraphs == 2
    assert placement.delegated == {"RELU": 1, "MEAN": 1}
    assert placement.undelegated == {"RESHAPE": 2, "TRANSPOSE": 1}
    axes = "a tensor of it has 5 axes; the delegate takes 4"
    assert placement.reasons == {"RESHAPE": axes, "TRANSPOSE": axes}


def export_split(folder: Path, **options: object) -> Artifact:
    # XNNPACK takes no torch.split.
    settings = {
        "targets": ["executorch"],
        "overrides": OVERRIDES | {"pconv": "split_cat"},
        "input_size": SIZE,
        "output_dir": folder,
    }
    (artifact,) = export("fasternet_t0", **settings | options)  # type: ignore[arg-type]
    return artifact


@pytest.mark.slow
def test_a_file_of_the_cache_that_is_not_delegated_as_a_whole_is_refused(tmp_path: Path) -> None:
    (placement,) = export_split(tmp_path / "kept").to_dict()["placements"]
    assert placement["undelegated"] == {"split_with_sizes_copy": 4}
    heard: list[str] = []
    with pytest.raises(DelegationError, match="4 split_with_sizes_copy") as caught:
        export_split(
            tmp_path / "strict",
            require_full_delegation=True,
            progress=lambda _, phase: heard.append(phase),
        )
    assert "takes no such operator" in caught.value.why
    assert heard == []
    assert not (tmp_path / "strict").exists()


def test_portable_kernels_are_no_delegate(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no delegate"):
        export_split(tmp_path / "out", backend="portable", require_full_delegation=True)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_command_prints_what_is_left_and_fails_where_it_must(tmp_path: Path) -> None:
    (tmp_path / "summing.py").write_text(
        "import torch\n"
        "class Sums(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.conv = torch.nn.Conv2d(3, 8, 3)\n"
        "    def forward(self, x):\n"
        "        return torch.cumsum(self.conv(x), 1).mean((2, 3))\n"
        "def net():\n"
        "    return Sums()\n"
    )
    words = ["export", "summing:net", "--input-size", "32", "32", "--target", "executorch"]
    env = {"PYTHONPATH": str(tmp_path)}
    out = tmp_path / "out"
    done = lightmobile(*words, "-o", out, env=env)
    assert done.code == 0, done.err
    assert "cumsum" in done.out
    assert "its partitioner takes no such operator" in done.out
    strict = tmp_path / "strict"
    done = lightmobile(*words, "-o", strict, "--require-full-delegation", "--json", env=env)
    assert done.code == DelegationError.exit_code
    assert "lowering" in done.err
    assert "verifying" not in done.err
    assert "1 cumsum" in done.error["why"]
    assert not strict.exists()
