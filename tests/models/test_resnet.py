"""ResNet-50: the published counts."""

from __future__ import annotations

from lightmobile.models import complexity, model_info


def test_counts_are_the_published_ones() -> None:
    published, cost = model_info("resnet50").published, complexity("resnet50")
    assert cost.params == published["params"]
    assert cost.flops == published["macs"]
    assert cost.activations == 11_315_688  # in the same file of the source
