import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

import lightmobile.models
from lightmobile.errors import UsageError
from lightmobile.models import create_model, list_models, model_info

FASTERNETS = [f"fasternet_{variant}" for variant in ("l", "m", "s", "t0", "t1", "t2")]


def _python(code: str, *path: Path) -> subprocess.CompletedProcess[str]:
    """Run `code` in a process of its own, which knows of nothing that this one has imported."""
    script = f"import sys; sys.path[:0] = {[str(folder) for folder in path]}\n{code}"
    command = [sys.executable, "-c", script]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_models_are_listed_by_pattern():
    assert list_models("fasternet_[lms]") == FASTERNETS[:3]
    assert list_models("*_t?") == [name for name in list_models() if name[-3:-1] == "_t"]
    assert list_models("nothing") == []
    assert list_models() == sorted(list_models())


def test_the_public_names_are_sorted_and_there():
    names = lightmobile.models.__all__
    assert names == sorted(names) == dir(lightmobile.models)
    for name in names:
        assert callable(getattr(lightmobile.models, name))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = lightmobile.models.nothing


def test_importing_a_submodule_hides_no_public_name():
    code = """
import importlib, pkgutil, lightmobile.models as models
for module in pkgutil.iter_modules(models.__path__):
    importlib.import_module(f"lightmobile.models.{module.name}")
assert all(callable(getattr(models, name)) for name in models.__all__)
"""
    run = _python(code)
    assert run.returncode == 0, run.stderr


def test_listing_and_facts_import_neither_torch_nor_numpy():
    code = """
from lightmobile.models import list_models, model_info
for name in list_models():
    model_info(name)
assert not {"torch", "numpy", "PIL"} & set(sys.modules)
"""
    run = _python(code)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("name", FASTERNETS)
def test_facts(name):
    facts = model_info(name)
    assert (facts.name, facts.family, facts.input_size) == (name, "FasterNet", (224, 224))
    assert facts.num_classes == 1000
    assert (facts.preprocessing.resize, facts.preprocessing.crop) == (248, (224, 224))
    assert set(facts.published) == {"params", "macs", "top1"}
    assert "2303.03667" in facts.paper
    assert json.loads(json.dumps(asdict(facts)))["name"] == name


def test_facts_at_another_input_size_keep_the_share_of_the_crop():
    facts = model_info("fasternet_t0")
    assert facts.at(None) is facts
    assert facts.at((224, 224)) is facts
    small = facts.at((112, 128))
    assert small.input_size == small.preprocessing.crop == (112, 128)
    assert small.preprocessing.resize == 124


@pytest.mark.parametrize("wrong", ["fasternet_tO", "FasterNet_T0", "fasternett0", "fasternet-t0"])
def test_an_unknown_name_suggests_the_near_one(wrong):
    with pytest.raises(UsageError, match=f"no model '{wrong}'.*fasternet_t0"):
        create_model(wrong)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"depth": 3}, "depth"),
        ({"act": "tanh"}, "act is one of gelu, relu, not 'tanh'"),
        ({"pconv": "inplace"}, "pconv is one of slicing, split_cat"),
        ({"n_div": 0}, "n_div is between 1 and 40"),
        ({"drop_path": 1.0}, "drop_path is at least 0 and below 1"),
    ],
)
def test_an_impossible_option_says_why(options, reason):
    with pytest.raises(UsageError, match=reason):
        create_model("fasternet_t0", **options)


PLUGIN = """
from torch import nn
from lightmobile.models import ModelFacts, model_info, register_model

FACTS = model_info("fasternet_t0")

@register_model(facts=ModelFacts(
    name="acme_tiny", family="Acme", module=__name__, input_size=(32, 32), num_classes=5,
    preprocessing=FACTS.preprocessing,
))
def acme_tiny(width=8):
    return nn.Sequential(
        nn.Conv2d(3, width, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 5)
    )
"""


def _install(folder: Path, source: str, **points: str) -> None:
    """Lay out what pip would: a module and the entry points of its package."""
    (folder / "acme_models.py").write_text(source)
    info = folder / "acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    lines = [f"{name} = {value}" for name, value in points.items()]
    (info / "entry_points.txt").write_text("\n".join(["[lightmobile.models]", *lines]))


def test_another_package_brings_a_model(tmp_path):
    _install(tmp_path, PLUGIN, acme_tiny="acme_models:acme_tiny")
    code = """
from lightmobile.models import complexity, create_model, list_models, prepare
assert "acme_tiny" in list_models()
assert create_model("acme_tiny", width=4)[0].out_channels == 4
assert complexity("acme_tiny").macs == 30 * 30 * 8 * 27 + 8 * 5
assert prepare("acme_tiny").weights["source"] == "untrained"
"""
    run = _python(code, tmp_path)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("raise RuntimeError('out of order')", "plug-in 'acme_tiny' of acme cannot be loaded"),
        (PLUGIN.replace('"acme_tiny"', '"fasternet_t0"'), "two models named 'fasternet_t0'"),
    ],
)
def test_a_broken_plug_in_is_named(tmp_path, source, message):
    _install(tmp_path, source, acme_tiny="acme_models:acme_tiny")
    code = "from lightmobile.models import list_models; list_models()"
    run = _python(code, tmp_path)
    assert message in run.stderr


def test_a_broken_plug_in_leaves_the_built_in_models_alone(tmp_path):
    _install(tmp_path, "raise RuntimeError", acme_tiny="acme_models:acme_tiny")
    code = "from lightmobile.models import model_info; model_info('fasternet_t0')"
    assert _python(code, tmp_path).returncode == 0
