"""A really installed package, `tests/plugin`, adds a model, a target and a device."""

import json
from importlib.metadata import entry_points

import pytest

from lightmobile import plugins
from tests.cli import lightmobile


def test_the_package_is_found_only_when_installed(plugin_env):
    assert not [p for p in entry_points(group="lightmobile.models") if "example" in p.value]
    assert lightmobile("info", "fasternet_digits").code == 2
    names = lightmobile("models", "*_digits", "--json", env=plugin_env).json["models"]
    assert [row["name"] for row in names] == ["fasternet_digits", "vanillanet_digits"]
    info = lightmobile("info", "fasternet_digits", "--json", env=plugin_env).json
    assert info["input_size"] == [32, 32]


def test_its_target_is_exported_verified_and_named_in_errors(plugin_env, tmp_path):
    words = ["export", "fasternet_digits", "-o", tmp_path, "--json"]
    done = lightmobile(*words, "--target", "pt2,executorch", env=plugin_env)
    assert done.code == 0, done.err
    first, second = done.json["artifacts"]
    assert first["path"].endswith("fasternet_digits.aten.fp32.pt2")
    assert second["path"].endswith("fasternet_digits.xnnpack.fp32.pte")
    manifest = json.loads((tmp_path / "fasternet_digits.aten.fp32.pt2.json").read_text())
    assert manifest["parity"]["method"] == "pt2"
    assert lightmobile("verify", first["path"], env=plugin_env).code == 0
    refused = lightmobile(*words, "--target", "pt2", "--precision", "fp16", env=plugin_env)
    assert refused.code == 2
    assert "fp32" in refused.error["fix"]


def test_its_device_runs_and_its_results_say_emulated(plugin_env, tmp_path):
    words = ["bench", "fasternet_digits", "--device", "twin", "--rounds", "4", "--json"]
    env = plugin_env | {"LIGHTMOBILE_STORE": str(tmp_path / "results.jsonl")}
    done = lightmobile(*words, "--runtime", "executorch", env=env)
    assert done.code == 0, done.err
    assert [result["emulated"] for result in done.json["results"]] == [True]
    assert "EMULATED" in lightmobile("results", env=env).out


def test_a_broken_package_is_named(broken_plugin_env):
    done = lightmobile("models", env=broken_plugin_env)
    assert done.code == 2
    assert "broken" in done.err
    assert "boom" in done.err


@pytest.mark.parametrize(
    ("word", "known", "answer"),
    [
        ("tflit", ["tflite", "coreml"], "tflite"),
        ("zzz", ["b", "a"], "a or b"),
        ("zzz", ["c", "a", "b"], "a, b or c"),
    ],
)
def test_suggestions(word, known, answer):
    assert plugins.suggest(word, known) == answer
