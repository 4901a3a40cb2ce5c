"""The noise that every runner is given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lightmobile.device_bench.inputs import write_noise
from lightmobile.export.manifest import Tensor


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8", "uint8", "int32"])
def test_noise_fills_its_type_and_follows_its_seed(dtype: str, tmp_path: Path) -> None:
    tensor = Tensor(name="x", shape=(2, 3, 40, 40), dtype=dtype)
    read = {}
    for seed in (0, 0, 1):
        (file,) = write_noise([tensor], seed, tmp_path)
        values = np.fromfile(file, dtype)
        assert values.size == 2 * 3 * 40 * 40
        assert np.array_equal(values, read.setdefault(seed, values))
    assert not np.array_equal(read[0], read[1])
    if np.dtype(dtype).kind == "f":
        assert abs(read[0].mean()) < 0.1
        assert abs(read[0].std() - 1) < 0.1
    else:
        limits = np.iinfo(dtype)
        assert read[0].min() < limits.min + limits.max / 50
        assert read[0].max() > limits.max - limits.max / 50


def test_two_inputs_are_two_noises(tmp_path: Path) -> None:
    first, second = write_noise([Tensor(name="x", shape=(9,), dtype="float32")] * 2, 0, tmp_path)
    assert first.read_bytes() != second.read_bytes()
