"""Each family goes from its name to three verified artifacts, as a classifier and as a backbone."""

import pytest

from lightmobile.errors import UsageError
from lightmobile.export import evaluate, export, read_manifest, verify
from lightmobile.export.spec import TARGETS, ExportSpec
from lightmobile.export.targets import BUILT_IN, lower
from lightmobile.export.verification.parity import check
from lightmobile.export.verification.reference import make_reference
from lightmobile.models import model_info
from lightmobile.models.prepared import load_deployed, prepare, save_deployed
from tests import zoo
from tests.verification import networks

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("lasting_exporters")]


def test_no_family_is_forgotten():
    assert {model_info(name).family for name in zoo.MEMBERS} == zoo.families()


def size_of(name):
    return (64, 64) if name != "hetconv_vgg16_p4" else (32, 32)


def precision_of(name):
    # So narrow, MobileViT's softmax keeps 43 dB in fp16; at full size it keeps 52.
    return "fp32" if name == "mobilevit_xxs" else ""


@pytest.mark.parametrize("name", zoo.MEMBERS)
def test_a_member_is_lowered_whole_and_proved(name, tmp_path):
    """What `export` does in a process a target, whose start takes longer than all the rest."""
    size, overrides = size_of(name), zoo.MEMBERS[name] | {"num_classes": 10}
    prepared = prepare(name, input_size=size, overrides=overrides)
    save_deployed(prepared, tmp_path / "weights")
    module = load_deployed(name, overrides, tmp_path / "weights", input_size=size)
    reference = make_reference(prepared.training, prepared.deployed, prepared.facts, size)
    for target in BUILT_IN:
        spec = ExportSpec(target, precision=precision_of(name))
        path = tmp_path / f"net{TARGETS[target].suffix}"
        lowered = lower(module, spec, path, input_size=size)
        if target == "executorch":
            (placement,) = lowered.placements
            assert (placement.delegated_subgraphs, placement.undelegated) == (1, {})
        manifest = networks.manifest(
            path, target, spec.precision, backend=spec.backend, input_size=size, model=name
        )
        parity = check(path, manifest, reference, networks.state(module))
        assert parity.weights_compared > 0


@pytest.mark.nightly
@pytest.mark.parametrize("name", zoo.MEMBERS)
def test_a_member_is_exported_whole_and_verified(name, tmp_path):
    artifacts = export(
        name,
        precision=precision_of(name) or None,
        overrides=zoo.MEMBERS[name] | {"num_classes": 10},
        input_size=size_of(name),
        output_dir=tmp_path,
    )
    assert [artifact.target for artifact in artifacts] == ["executorch", "coreml", "tflite"]
    (placement,) = read_manifest(artifacts[0].path).placements
    assert (placement.delegated_subgraphs, placement.undelegated) == (1, {})


@pytest.mark.parametrize("name", ["fasternet_t0", "vanillanet_5"])
def test_a_backbone_has_an_output_a_stage(name, tmp_path):
    overrides = zoo.MEMBERS[name] | {"features_only": True}
    artifacts = export(name, overrides=overrides, input_size=(64, 96), output_dir=tmp_path)
    for artifact in artifacts:
        assert artifact.path.name.startswith(f"{name}-features-64x96.")
        manifest = read_manifest(artifact.path)
        shapes = [output.shape for output in manifest.outputs]
        assert shapes == [(1, 4 * 2**i, 16 // 2**i, 24 // 2**i) for i in range(4)]
        assert artifact.parity.top1_agreement is None
    assert verify(artifact.path).parity.weights_compared > 0
    with pytest.raises(UsageError, match="no classifier"):
        evaluate(artifacts[0].path, tmp_path)
