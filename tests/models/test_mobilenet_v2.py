"""MobileNetV2: the published counts."""

from __future__ import annotations

import pytest

from lightmobile.models import complexity, model_info


@pytest.mark.parametrize(
    ("name", "params", "macs"),
    [
        ("mobilenet_v2", 3_504_872, 300_774_272),
        ("mobilenet_v2_x1_4", 6_108_776, 582_195_824),
    ],
)
def test_counts_are_the_published_ones(name: str, params: int, macs: int) -> None:
    published, cost = model_info(name).published, complexity(name)
    assert (cost.params, cost.macs) == (params, macs)
    assert params == pytest.approx(published["params"], rel=2e-3)
    # That table counts 3 % more.
    assert macs == pytest.approx(published["macs"], rel=0.035)
