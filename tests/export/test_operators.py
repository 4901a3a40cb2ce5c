"""Operators through the whole export, and the traffic that is read from their files."""

import pytest

from lightmobile.export import export, read_manifest, verify
from lightmobile.export.inspection.traffic import lowered_bytes

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("lasting_exporters")]

C, PIXELS, FLOATS = 8, 6 * 6, 4
ALL = C * PIXELS * FLOATS  # a tensor of all channels
QUARTER = ALL // 4
TRANSPOSES = 2 * 2 * ALL  # into the runtimes' own order of axes, and back
# What the operators of one layer read and write, beside the transposes.
LOWERED = {
    # A slice of a quarter, its convolution, a slice of the rest, and the concatenation.
    "pconv": 2 * QUARTER + 2 * QUARTER + 9 * 4 * FLOATS + 2 * (ALL - QUARTER) + 2 * ALL,
    "pwconv": 2 * ALL + C * C * FLOATS,
    "conv": 2 * ALL + 9 * C * C * FLOATS,
    "dwconv": 2 * ALL + 9 * C * FLOATS,
}
MACS = {
    "pconv": PIXELS * 9 * 4,
    "pwconv": PIXELS * C * C,
    "conv": PIXELS * 9 * C * C,
    "dwconv": PIXELS * 9 * C,
}


def test_what_is_lowered_moves_what_its_operators_move(tmp_path):
    for kind, expected in LOWERED.items():
        name = f"op:{kind},channels={C},size=6,layers=1"
        made = export(name, targets=("executorch", "tflite"), output_dir=tmp_path)
        for artifact in made:
            cost = read_manifest(artifact.path).cost
            assert cost.lowered_bytes == lowered_bytes(artifact.path)
            # LiteRT keeps a bias of zeros for every convolution.
            width = 2 if kind == "pconv" else C
            biases = width * FLOATS if artifact.target == "tflite" else 0
            assert cost.lowered_bytes == expected + TRANSPOSES + biases, (kind, artifact.target)
            assert cost.macs == MACS[kind]
    assert verify(made[0].path).parity.rel_l2 < 1e-5


def test_a_training_form_is_exported_as_it_is(tmp_path):
    name = "vanillanet_5,width=64,training=true,resolution=32,num_classes=4,act_num=1"
    (artifact,) = export(name, targets=("tflite",), output_dir=tmp_path)
    (fused,) = export(name.replace("training=true,", ""), targets=("tflite",), output_dir=tmp_path)
    training, deployed = (read_manifest(each.path).cost for each in (artifact, fused))
    assert training.macs > 1.5 * deployed.macs
    assert artifact.parity.weights_compared == 0  # the exporter folds its norms
    assert fused.parity.weights_compared > 0
    assert verify(artifact.path).parity.rel_l2 < 1e-5
