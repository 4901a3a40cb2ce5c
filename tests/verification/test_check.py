"""`check` on sound artifacts passes, and on damaged ones says what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from lightmobile.errors import UsageError, VerificationError
from lightmobile.export.verification import Reference, check
from lightmobile.export.verification.metrics import BARS
from tests.verification import networks
from tests.verification.conftest import Exported
from tests.verification.damage import copy, flip

METHODS = {
    "xnnpack": "executorch",
    "portable": "executorch",
    "vulkan": "vulkan-torch",
    "tflite": "litert",
    "coreml": "mil-torch",
}


def test_a_sound_artifact_passes(exported: Exported) -> None:
    parity = check(exported.path, exported.manifest, exported.reference, exported.weights)
    bar = BARS[exported.manifest.precision]
    assert 0 < parity.max_abs < 0.1
    assert 0 < parity.rel_l2 <= bar.rel_l2
    assert bar.sqnr_db <= parity.sqnr_db < 200
    assert parity.top1_agreement == 1.0
    assert parity.samples == 24
    assert parity.weights_compared == len(exported.weights)
    assert parity.method.startswith(METHODS[exported.manifest.backend])


def weight_names() -> list[str]:
    return list(networks.tiny_net().state_dict())


@pytest.mark.parametrize("layer", weight_names())
def test_the_flipped_sign_of_any_layers_largest_weight_is_noticed(
    exported: Exported, layer: str, tmp_path: Path
) -> None:
    damaged = copy(exported.path, tmp_path)
    flip(damaged, exported.weights[layer], exported.manifest.precision)
    with pytest.raises(VerificationError, match=layer):
        check(damaged, exported.manifest, exported.reference, exported.weights)


def test_the_figures_notice_other_weights_too(
    exported: Exported, net: nn.Module, tmp_path: Path
) -> None:
    """An artifact whose constants are those of its source, but PyTorch answers otherwise."""
    other = networks.tiny_net()
    other.get_submodule("head").bias[0] += 1.0
    wrong = networks.reference(other)
    with pytest.raises(VerificationError, match=r"relative L2 error is .*, the bar"):
        check(exported.path, exported.manifest, wrong, exported.weights)


@pytest.mark.parametrize("target", networks.EXPORTS)
def test_a_last_batch_is_filled_up(
    target: str, net: nn.Module, reference: Reference, tmp_path: Path
) -> None:
    path = tmp_path / ("t.mlpackage" if target == "coreml" else f"t.{target}")
    networks.export(net, target, path, "fp32", batch=5)
    manifest = networks.manifest(path, target, "fp32", batch=5)
    assert check(path, manifest, reference, networks.state(net)).samples == 24


class ChannelsLast(nn.Module):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x.permute(0, 3, 1, 2))


def test_channels_may_come_last(net: nn.Module, reference: Reference, tmp_path: Path) -> None:
    path = tmp_path / "nhwc.tflite"
    networks.export(ChannelsLast(net).eval(), "tflite", path, "fp32", layout="nhwc")
    manifest = networks.manifest(path, "tflite", "fp32", layout="nhwc")
    assert check(path, manifest, reference, networks.state(net)).rel_l2 < 1e-5


def test_another_input_than_the_manifests_is_refused(exported: Exported) -> None:
    manifest = exported.manifest.model_copy(update={"batch": 2})
    with pytest.raises(VerificationError, match="another input than its manifest says"):
        check(exported.path, manifest, exported.reference, exported.weights)


def test_an_unknown_target_or_precision_is_refused(exported: Exported) -> None:
    for change in ({"target": "abacus"}, {"precision": "fp3"}):
        manifest = exported.manifest.model_copy(update=change)
        with pytest.raises(UsageError, match=next(iter(change.values()))):
            check(exported.path, manifest, exported.reference, exported.weights)
