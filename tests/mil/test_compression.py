"""Packages compressed by coremltools, against the dense packages that it decompresses them to."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from lightmobile.export.verification.compressed import Compressed
from lightmobile.export.verification.mil import MilProgram
from tests.mil.packages import FP16, write_module

ct = pytest.importorskip("coremltools")
from coremltools.optimize import coreml as cto  # noqa: E402


def config(operator: Any) -> Any:
    return cto.OptimizationConfig(global_config=operator)


def quantize(model: Any, **options: Any) -> Any:
    options = {"mode": "linear_symmetric", "weight_threshold": 0} | options
    return cto.linear_quantize_weights(model, config(cto.OpLinearQuantizerConfig(**options)))


def palettize(model: Any, **options: Any) -> Any:
    options = {"mode": "uniform", "weight_threshold": 0} | options
    return cto.palettize_weights(model, config(cto.OpPalettizerConfig(**options)))


def prune(model: Any) -> Any:
    pruner = cto.OpMagnitudePrunerConfig(target_sparsity=0.5, weight_threshold=0)
    return cto.prune_weights(model, config(pruner))


def prune_and_palettize(model: Any) -> Any:
    palettizer = cto.OpPalettizerConfig(mode="uniform", nbits=4, weight_threshold=0)
    return cto.palettize_weights(prune(model), config(palettizer), joint_compression=True)


def prune_and_quantize(model: Any) -> Any:
    quantizer = cto.OpLinearQuantizerConfig(mode="linear_symmetric", weight_threshold=0)
    return cto.linear_quantize_weights(prune(model), config(quantizer), joint_compression=True)


COMPRESSIONS: list[tuple[str, str, str, Callable[[Any], Any]]] = [
    ("int8", "iOS16", "constexpr_affine_dequantize", quantize),
    (
        "uint8",
        "iOS16",
        "constexpr_affine_dequantize",
        lambda m: quantize(m, mode="linear", dtype="uint8"),
    ),
    ("4-bits", "iOS16", "constexpr_lut_to_dense", lambda m: palettize(m, nbits=4)),
    ("6-bits", "iOS16", "constexpr_lut_to_dense", lambda m: palettize(m, nbits=6)),
    ("sparse", "iOS16", "constexpr_sparse_to_dense", prune),
    ("int8", "iOS18", "constexpr_blockwise_shift_scale", quantize),
    (
        "int4-blocks",
        "iOS18",
        "constexpr_blockwise_shift_scale",
        lambda m: quantize(m, dtype="int4", granularity="per_block", block_size=4),
    ),
    (
        "3-bits-groups",
        "iOS18",
        "constexpr_lut_to_dense",
        lambda m: palettize(m, nbits=3, granularity="per_grouped_channel", group_size=4),
    ),
    ("sparse", "iOS18", "constexpr_sparse_to_dense", prune),
    ("sparse-4-bits", "iOS18", "constexpr_lut_to_sparse", prune_and_palettize),
    ("sparse-int8", "iOS18", "constexpr_sparse_blockwise_shift_scale", prune_and_quantize),
]


@pytest.mark.parametrize(
    ("opset", "operator", "compress"),
    [pytest.param(*rest, id=f"{label}-{rest[0]}") for label, *rest in COMPRESSIONS],
)
def test_compressed_weights(
    opset: str,
    operator: str,
    compress: Callable[[Any], Any],
    tmp_path: Path,
) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(8, 16, 3), nn.ReLU(), nn.Conv2d(16, 8, 1), nn.Flatten(), nn.Linear(32, 8)
    )
    x = torch.randn(1, 8, 4, 4)
    dense_path = write_module(tmp_path / "dense.mlpackage", module, x, FP16, opset)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = compress(ct.models.MLModel(str(dense_path), skip_model_load=True))
        model.save(str(tmp_path / "compressed.mlpackage"))
        cto.decompress_weights(model).save(str(tmp_path / "decompressed.mlpackage"))

    compressed = MilProgram.load(tmp_path / "compressed.mlpackage")
    decompressed = MilProgram.load(tmp_path / "decompressed.mlpackage")
    assert operator in _operators_of(tmp_path / "compressed.mlpackage")
    assert not any("constexpr" in name for name in compressed.operators())

    ours, theirs = _by_size(compressed), _by_size(decompressed)
    assert [weight.shape for weight in ours] == [weight.shape for weight in theirs]
    for weight, wanted in zip(ours, theirs, strict=True):
        assert weight.dtype == wanted.dtype == np.float16
        np.testing.assert_array_equal(weight, wanted)
    (result,) = compressed.run(dict.fromkeys(compressed.inputs, x.numpy())).values()
    (wanted,) = decompressed.run(dict.fromkeys(decompressed.inputs, x.numpy())).values()
    np.testing.assert_array_equal(result, wanted)


def _by_size(program: MilProgram) -> list[np.ndarray[Any, Any]]:
    weights = [
        weight.dense.astype(np.float16) if isinstance(weight, Compressed) else weight
        for weight in program.weights().values()
    ]
    return sorted(weights, key=lambda w: (w.size, w.shape, abs(w.astype(np.float64)).sum()))


def _operators_of(path: Path) -> set[str]:
    (function,) = ct.utils.load_spec(str(path)).mlProgram.functions.values()
    (block,) = function.block_specializations.values()
    return {operation.type for operation in block.operations}
