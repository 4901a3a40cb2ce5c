"""MobileNetV1: the published counts."""

from __future__ import annotations

import pytest

from lightmobile.models import complexity, model_info


def test_counts_are_the_published_ones() -> None:
    published, cost = model_info("mobilenet_v1").published, complexity("mobilenet_v1")
    # The source rounds, and counts 4.24 M, perhaps with the 1001st class of its checkpoints.
    assert cost.params == pytest.approx(published["params"], rel=2e-3)
    assert cost.macs == pytest.approx(published["macs"], abs=0.5e6)
