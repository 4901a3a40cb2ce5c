import copy
import math

import numpy as np
import pytest
import torch

from lightmobile.errors import UsageError, VerificationError
from lightmobile.export import quantize_search, read_manifest
from lightmobile.export.quantization.layers import LayerError, is_kept, merged, require_layers
from lightmobile.export.quantization.search import _fewest
from lightmobile.export.quantization.sensitivity import layer_errors
from tests.export.tiny import OVERRIDES, SIZE, tiny_fasternet

IMAGES = np.random.default_rng(0).standard_normal((6, 3, *SIZE)).astype(np.float32)
CALIBRATION = [IMAGES[:3], IMAGES[3:]]


def ranking(module, precision="int8", calibration=CALIBRATION):
    return layer_errors(module, precision, IMAGES, calibration)


def test_every_module_without_modules_inside_is_ranked():
    module = tiny_fasternet()
    errors = ranking(module)
    leaves = {name for name, leaf in module.named_modules() if not any(leaf.children())}
    identities = {n for n, m in module.named_modules() if isinstance(m, torch.nn.Identity)}
    assert {error.layer for error in errors} == leaves - identities
    assert errors == sorted(errors, key=lambda error: error.sqnr_db)
    assert all(error.sqnr_db > 10 for error in errors)


def test_the_module_is_the_same_afterwards():
    module = tiny_fasternet()
    before = copy.deepcopy(module)
    ranking(module)
    ranking(module, "w4p", ())
    assert module.state_dict().keys() == before.state_dict().keys()
    images = torch.from_numpy(IMAGES)
    with torch.inference_mode():
        assert torch.equal(module(images), before(images))


@pytest.mark.parametrize("precision", ["int8", "w8"])
def test_a_weight_far_from_the_others_makes_its_layer_the_worst(precision):
    module = tiny_fasternet()
    before, victim = "stages.2.blocks.0.mlp.0", "stages.2.blocks.0.mlp.3"
    # The function stays: what one layer loses, the next gains.
    with torch.no_grad():
        module.get_submodule(before).weight[0] /= 300
        module.get_submodule(before).bias[0] /= 300
        module.get_submodule(victim).weight[:, 0] *= 300
    assert victim in [error.layer for error in ranking(module, precision)[:2]]
    assert victim not in [error.layer for error in ranking(tiny_fasternet(), precision)[:2]]


def test_fewer_bits_cost_more():
    module = tiny_fasternet()
    by_precision = {
        precision: {error.layer: error.sqnr_db for error in ranking(module, precision)}
        for precision in ("w8", "w6p", "w4p", "int8", "int16x8")
    }
    for layer, weights_only in by_precision["w8"].items():
        assert weights_only > by_precision["w4p"][layer]
        assert by_precision["int16x8"][layer] > by_precision["int8"][layer]


def test_weights_alone_need_no_calibration():
    def never():
        raise AssertionError("looked at the calibration")
        yield

    assert ranking(tiny_fasternet(), "w8", never())


@pytest.mark.parametrize("fewest", [0, 1, 2, 7, 18, 19])
@pytest.mark.parametrize("predicted", [0, 5, 20])
def test_the_fewest_layers_are_found_with_few_measurements(fewest, predicted):
    noise = 10 ** (-3) / max(20 - predicted, 1) * 0.99
    errors = [
        LayerError(str(i), "Conv2d", 0.0 if i < predicted else -10 * math.log10(noise))
        for i in range(20)
    ]
    measured = []

    def measure(count):
        measured.append(count)
        return 40.0 if count >= fewest else 20.0

    assert _fewest(measure, errors, 30.0) == fewest
    assert len(measured) == len(set(measured)) <= 10


def test_keeping_every_layer_is_refused():
    module = tiny_fasternet()
    every = tuple(name for name, _ in module.named_children())
    require_layers(module, every[1:])
    with pytest.raises(UsageError, match="nothing left to quantize"):
        require_layers(module, every)


def test_a_layer_that_is_not_there_is_refused_with_the_nearest():
    with pytest.raises(UsageError) as caught:
        require_layers(tiny_fasternet(), ["stages.2.block"])
    assert "stages.2.blocks" in caught.value.fix


def test_there_may_be_none():
    errors = [LayerError(str(i), "Conv2d", 20.0) for i in range(20)]
    assert _fewest(lambda count: 10.0, errors, 30.0) is None


def test_a_name_stands_for_all_inside_it_and_for_no_namesake():
    kept = ("stages.1", "head")
    assert is_kept("stages.1", kept)
    assert is_kept("stages.1.blocks.0", kept)
    assert not is_kept("stages.10", kept)
    assert not is_kept("head2", kept)


@pytest.mark.parametrize(
    ("chosen", "modules"),
    [
        (("a.0", "b.x.1"), ("a.0", "b.x.1")),
        (("a.0", "c", "a.1"), ("a", "c")),
        (("b.x.0", "b.x.1"), ("b.x",)),
        (("b.x.0", "a.0", "b.x.1", "b.y"), ("b", "a.0")),
        ((), ()),
    ],
)
def test_layers_that_are_all_of_a_module_are_named_by_it(chosen, modules):
    leaves = ["a.0", "a.1", "a1.0", "b.x.0", "b.x.1", "b.y", "c"]
    assert merged(chosen, leaves) == modules


def search(tmp_path, **options):
    return quantize_search(
        "fasternet_t0",
        **{
            "target": "tflite",
            "overrides": OVERRIDES,
            "input_size": SIZE,
            "calibration_samples": 4,
            "output_dir": tmp_path,
        }
        | options,
    )


@pytest.mark.slow
@pytest.mark.usefixtures("lasting_exporters")
def test_what_a_search_leaves_keeps_the_sqnr_with_the_fewest_layers(tmp_path):
    found = search(tmp_path, min_sqnr=25.0)
    artifact = found.artifact
    assert artifact.parity.sqnr_db >= 25
    manifest = read_manifest(artifact.path)
    assert manifest.quantization.kept == found.keep_fp
    enough = {trial.kept for trial in found.trials if trial.sqnr_db >= 25}
    too_few = {trial.kept for trial in found.trials if trial.sqnr_db < 25}
    fewest = min(enough)
    assert fewest - 1 in too_few
    kept = [error.layer for error in found.ranking if is_kept(error.layer, found.keep_fp)]
    assert kept == [error.layer for error in found.ranking[:fewest]]
    assert [file.name for file in tmp_path.iterdir() if file.suffix == ".tflite"] == [
        artifact.path.name
    ]


@pytest.mark.slow
@pytest.mark.usefixtures("lasting_exporters")
def test_an_sqnr_out_of_reach_is_refused_with_the_best(tmp_path):
    with pytest.raises(VerificationError, match=r"does not keep 190 dB") as caught:
        search(tmp_path, min_sqnr=190.0)
    assert "layers kept it has" in caught.value.why
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"precision": "fp32", "min_sqnr": 30.0}, "fp32 is not quantized"),
        ({"precision": "w4p", "min_sqnr": 30.0}, "has no precision 'w4p'"),
        ({"min_sqnr": 1e9}, "is no SQNR"),
        ({"min_sqnr": math.nan}, "is no SQNR"),
    ],
)
def test_what_cannot_be_searched_for_is_refused_at_once(tmp_path, options, what):
    with pytest.raises(UsageError, match=what):
        search(tmp_path, **options)
