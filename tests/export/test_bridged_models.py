"""Networks that are not ours go the whole way, and no manifest makes a user's machine run code."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from lightmobile.errors import UsageError, VerificationError
from lightmobile.export import evaluate, export, read_manifest, verify
from lightmobile.export.manifest import manifest_path
from tests.cli import lightmobile

pytestmark = pytest.mark.slow

CODE = """
from pathlib import Path
from torch import nn

Path(__file__).with_suffix(".ran").touch()

def net(width=8, gain=1.0):
    return nn.Sequential(
        nn.Conv2d(3, width, 3, stride=2, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
        nn.Conv2d(width, 16, 3, stride=2), nn.BatchNorm2d(16), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 5))

def same():
    model = net()
    nn.init.zeros_(model[-1].weight)
    return model
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "users_model.py").write_text(CODE)
    (tmp_path / "torch.py").write_text("raise SystemExit('I am not torch')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    return tmp_path


def test_a_users_function_goes_the_whole_way(here: Path) -> None:
    name = "users_model:net"
    artifacts = export(name, untrained=True, input_size=(48, 64), output_dir=here / "out")
    assert [artifact.cached for artifact in artifacts] == [False] * 3
    assert {read_manifest(each.path).weights.source for each in artifacts} == {"untrained"}
    (placement,) = read_manifest(artifacts[0].path).placements
    assert (placement.delegated_subgraphs, placement.undelegated) == (1, {})
    _, artifact, _ = artifacts
    with pytest.raises(UsageError, match=f"--model {name}"):
        verify(artifact.path)
    with pytest.raises(UsageError, match="was exported from another model"):
        verify(artifact.path, model="users_model:same")
    assert verify(artifact.path, model=name).parity.weights_compared > 0
    # What a function is made of is not known, so the cache is left alone.
    words = ("users_model:net", "--untrained", "--input-size", "48", "64", "--target", "coreml")
    # As the installed command does, Python leaves the current folder out of its path.
    safe = {"PYTHONSAFEPATH": "1"}
    again = lightmobile("export", *words, "--json", cwd=here, env=safe)
    assert again.json["artifacts"][0]["cached"] is False


def test_own_weights_that_answer_the_same_are_refused(here: Path) -> None:
    with pytest.raises(VerificationError, match="--untrained"):
        export("users_model:same", targets="coreml", output_dir=here / "out")
    assert not [*here.glob("out/*")]
    with pytest.raises(UsageError, match="one place only"):
        export("users_model:net", untrained=True, pretrained=True)


def test_a_manifest_runs_no_code(here: Path) -> None:
    ran = here / "users_model.ran"
    options = {"stage_widths": [8]}
    (artifact,) = export(
        "timm:test_resnet", targets="coreml", input_size=(64, 64), output_dir=here / "out"
    )
    assert verify(artifact.path).hash_ok
    manifest = json.loads(manifest_path(artifact.path).read_text())
    (here / "data" / "0").mkdir(parents=True)
    for model in ("users_model:net", "users_model:nothing", "timm_:net", "torch:hub.load"):
        hostile = manifest | {"model": model, "overrides": options}
        manifest_path(artifact.path).write_text(json.dumps(hostile))
        with pytest.raises(UsageError, match="somebody's own code"):
            verify(artifact.path)
        with pytest.raises(UsageError, match="was exported from another model"):
            verify(artifact.path, model="timm:test_resnet")
        with pytest.raises(UsageError, match="no images"):
            evaluate(artifact.path, here / "data")
    for overrides in ({"pretrained": True}, {"checkpoint_path": "x.pth"}):
        hostile = manifest | {"overrides": overrides}
        manifest_path(artifact.path).write_text(json.dumps(hostile))
        with pytest.raises(UsageError, match="cannot be an option"):
            verify(artifact.path)
    assert not ran.exists()


@pytest.mark.usefixtures("lasting_exporters")
def test_a_model_of_timm_goes_the_whole_way(tmp_path: Path) -> None:
    artifacts = export("timm:test_efficientnet", input_size=(64, 64), output_dir=tmp_path)
    for artifact in artifacts:
        assert read_manifest(artifact.path).versions["timm"]
        assert artifact.path.name.startswith("timm-test_efficientnet-")
    assert verify(artifacts[1].path).hash_ok
    (again,) = export(
        "timm:test_efficientnet", targets="tflite", input_size=(64, 64), output_dir=tmp_path
    )
    assert again.cached


@pytest.mark.usefixtures("lasting_exporters")
def test_attention_over_windows_goes_the_whole_way(tmp_path: Path) -> None:
    small = {"embed_dim": 16, "depths": [2, 1], "num_heads": [2, 4], "num_classes": 10}
    artifacts = export("timm:swin_tiny_patch4_window7_224", overrides=small, output_dir=tmp_path)
    assert len(artifacts) == 3
