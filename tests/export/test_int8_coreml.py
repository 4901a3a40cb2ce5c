"""Core ML packages in fewer bits hold and compute what PyTorch does, and damage is refused."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from lightmobile.errors import UsageError, VerificationError
from lightmobile.export.manifest import Manifest, Parity
from lightmobile.export.spec import ExportSpec
from lightmobile.export.targets import Lowered, lower
from lightmobile.export.verification import Reference, check
from lightmobile.export.verification.compressed import Compressed
from lightmobile.export.verification.engines import MilTorch
from lightmobile.export.verification.weights import compare_weights
from lightmobile.models import model_info
from lightmobile.models.photographs import crops
from lightmobile.models.preprocessing import preprocess
from tests.export.tiny import SIZE, tiny_fasternet
from tests.verification import mil_damage, networks

# In dB, of so few channels.
KEEPS = {"int8": 20.0, "w8": 30.0, "w6p": 15.0, "w4p": 10.0}
GRIDS = {
    "int8": "constexpr_affine_dequantize",
    "w8": "constexpr_affine_dequantize",
    "w6p": "constexpr_lut_to_dense",
    "w4p": "constexpr_lut_to_dense",
}


@dataclass(frozen=True)
class Made:
    """A package, with all that `check` takes."""

    path: Path
    lowered: Lowered
    module: nn.Module
    manifest: Manifest
    reference: Reference
    keeps: float

    def check(self, path: Path | None = None) -> Parity:
        return check(
            path or self.path,
            self.manifest,
            self.reference,
            networks.state(self.module),
            min_sqnr=self.keeps,
        )

    def constants_found(self) -> int:
        weights = networks.state(self.module)
        return compare_weights(self.constants(), weights, self.manifest.precision)

    def constants(self) -> dict[str, Any]:
        return dict(MilTorch(self.path).constants())


def make(
    folder: Path, precision: str, keep_fp: tuple[str, ...] = (), module: nn.Module | None = None
) -> Made:
    module = module or tiny_fasternet()
    spec = ExportSpec("coreml", precision=precision, keep_fp=keep_fp)
    path = folder / f"{precision}.mlpackage"
    images = np.split(photographs()[:8], 8) if precision == "int8" else None
    lowered = lower(module, spec, path, input_size=SIZE, images=images)  # type: ignore[arg-type]
    manifest = networks.manifest(path, "coreml", precision, input_size=SIZE)
    return Made(path, lowered, module, manifest, reference(module), KEEPS[precision])


@cache
def photographs() -> np.ndarray:
    preprocessing = model_info("fasternet_t0").preprocessing
    return preprocess(crops(48, SIZE, seed=0), preprocessing)


def reference(module: nn.Module) -> Reference:
    """Return answers for other photographs than calibrate."""
    images = photographs()[8:]
    with torch.inference_mode():
        outputs = module(torch.from_numpy(images)).numpy()
    return Reference(images[:8], images, (outputs[:8],), (outputs,), 0.0)


def layers_of(module: nn.Module) -> list[nn.Conv2d | nn.Linear]:
    return [layer for layer in module.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]


def in_head(package: Made, layer: nn.Module) -> bool:
    head = package.lowered.lowering["fp16_inputs"].split(", ")
    return any(layer is package.module.get_submodule(name) for name in head)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Made]:
    """Each precision is lowered once."""
    folder = tmp_path_factory.mktemp("coreml")
    done: dict[str, Made] = {}

    def once(precision: str) -> Made:
        if precision not in done:
            done[precision] = make(folder, precision)
        return done[precision]

    return once


@pytest.mark.parametrize("precision", KEEPS)
def test_every_weight_is_found_and_the_figures_hold(precision: str, made: Any) -> None:
    package = made(precision)
    parity = package.check()
    # The biases are zeros.
    assert parity.weights_compared == len(layers_of(package.module))


@pytest.mark.parametrize("precision", KEEPS)
def test_weights_are_stored_in_fewer_bits(precision: str, made: Any) -> None:
    package = made(precision)
    grids = [c for c in package.constants().values() if isinstance(c, Compressed)]
    assert package.lowered.placements[0].delegated[GRIDS[precision]] == len(grids)
    large = [
        layer
        for layer in layers_of(package.module)
        if layer.weight.numel() > 2048 or (precision == "int8" and not in_head(package, layer))
    ]
    assert Counter(grid.dense.size for grid in grids) == Counter(
        layer.weight.numel() for layer in large
    )


def test_int8_rounds_what_goes_into_every_layer_but_the_head(made: Any) -> None:
    package = made("int8")
    operators = package.lowered.placements[0].delegated
    layers = operators["conv"] + operators["linear"]
    assert package.lowered.lowering["fp16_inputs"] == "avgpool_pre_head.1, head"
    assert operators["dequantize"] >= layers - 2
    assert operators["quantize"] >= layers - 2
    assert operators[GRIDS["int8"]] == layers - 2  # The head's are small here.


@pytest.mark.parametrize("precision", ["w6p", "w4p"])
def test_palettes_are_of_groups_of_channels(precision: str, made: Any) -> None:
    shapes = mil_damage.shapes(made(precision).path, GRIDS[precision], "lut")
    entries = 64 if precision == "w6p" else 16
    assert made(precision).lowered.lowering["palettes"] == "by 8 to 32 output channels"
    # 128 channels of the last block's first layer, 4 groups of 32.
    assert (4, 1, 1, 1, entries, 1) in shapes


def scaled(factor: float) -> Callable[[np.ndarray], None]:
    def damage(array: np.ndarray) -> None:
        array[array.size // 2] *= factor

    return damage


def moved(array: np.ndarray) -> None:
    middle = array.size // 2
    array[middle] += 1 if array[middle] < 100 else -1


def flipped(array: np.ndarray) -> None:
    array[array.size // 2] ^= 1  # the lowest bit of an index


DAMAGE = {
    "int8-scale": ("int8", "scale", np.float16, scaled(1.1)),
    "int8-sign-of-a-scale": ("int8", "scale", np.float16, scaled(-1)),
    "int8-level": ("int8", "quantized_data", np.int8, moved),
    "w8-scale": ("w8", "scale", np.float16, scaled(0.9)),
    "w8-level": ("w8", "quantized_data", np.int8, moved),
    "w8-zero-point": ("w8", "zero_point", np.int8, moved),
    "w6p-entry": ("w6p", "lut", np.float16, scaled(-1)),
    "w6p-index": ("w6p", "indices", np.uint8, flipped),
    "w4p-entry": ("w4p", "lut", np.float16, scaled(-1)),
    "w4p-index": ("w4p", "indices", np.uint8, flipped),
}


@pytest.mark.parametrize(("precision", "parameter", "dtype", "damage"), DAMAGE.values(), ids=DAMAGE)
def test_one_damaged_value_of_a_grid_is_refused(
    precision: str, parameter: str, dtype: Any, damage: Any, made: Any, tmp_path: Path
) -> None:
    package = made(precision)
    path = tmp_path / package.path.name
    shutil.copytree(package.path, path)
    mil_damage.change(path, GRIDS[precision], parameter, dtype, damage)
    with pytest.raises(VerificationError, match=r"weights are not the model's|no positive number"):
        package.check(path)


@pytest.mark.parametrize("operator", ["quantize", "dequantize"])
def test_the_figures_notice_a_damaged_scale_of_activations(
    operator: str, made: Any, tmp_path: Path
) -> None:
    package = made("int8")
    path = tmp_path / package.path.name
    shutil.copytree(package.path, path)
    mil_damage.change(path, operator, "scale", np.float16, scaled(2))
    with pytest.raises(VerificationError, match="SQNR"):
        package.check(path)


@pytest.mark.parametrize("precision", KEEPS)
def test_kept_layers_stay_in_fp16_and_no_others(precision: str, made: Any, tmp_path: Path) -> None:
    kept = "stages.6.blocks.0.mlp"
    package = make(tmp_path, precision, (kept,))
    assert package.check().weights_compared
    weights = [w for n, w in package.module.state_dict().items() if n.startswith(f"{kept}.")]
    large = [w.numel() for w in weights if w.dim() > 1]
    before = Counter(
        c.dense.size for c in made(precision).constants().values() if isinstance(c, Compressed)
    )
    after = Counter(c.dense.size for c in package.constants().values() if isinstance(c, Compressed))
    assert before - after == Counter(large)


def test_a_layer_is_kept_by_its_exact_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no layer 'stages\.6\.blocks\.0\.ml'"):
        make(tmp_path, "w8", ("stages.6.blocks.0.ml",))


@pytest.mark.parametrize("precision", KEEPS)
def test_channels_next_to_nothing_are_found_too(precision: str, tmp_path: Path) -> None:
    module = tiny_fasternet()
    weight = module.get_submodule("stages.6.blocks.0.mlp.0").weight.data
    weight[:4] *= torch.tensor([1e-3, 1e-5, 1e-7, 0]).reshape(4, 1, 1, 1)
    assert make(tmp_path, precision, module=module).constants_found()
