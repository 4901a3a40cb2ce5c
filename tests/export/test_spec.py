import pytest

from lightmobile.errors import UsageError
from lightmobile.export.spec import TARGETS, ExportSpec, target_info


@pytest.mark.parametrize(
    ("target", "backend", "precision"),
    [("executorch", "xnnpack", "fp32"), ("coreml", "coreml", "fp16"), ("tflite", "tflite", "fp32")],
)
def test_the_defaults_of_each_target(target, backend, precision):
    spec = ExportSpec(target)
    assert (spec.backend, spec.precision, spec.layout) == (backend, precision, "nchw")
    assert target_info(target).why_default


@pytest.mark.parametrize(
    ("choices", "can"),
    [
        ({"target": "tflite", "precision": "fp16"}, "fp32"),
        ({"target": "executorch", "precision": "int8"}, "fp32, fp16"),
        ({"target": "executorch", "backend": "qnn"}, "xnnpack, portable"),
        ({"target": "coreml", "layout": "nhwc"}, "nchw"),
    ],
)
def test_what_a_target_cannot_do_is_refused_with_what_it_can(choices, can):
    with pytest.raises(UsageError) as caught:
        ExportSpec(**choices)
    assert can in caught.value.fix


@pytest.mark.parametrize("choices", [{"batch": 0}, {"input_size": (0, 8)}])
def test_empty_inputs_are_refused(choices):
    with pytest.raises(UsageError):
        ExportSpec("tflite", **choices)


def test_an_unknown_target_gets_the_nearest_name():
    with pytest.raises(UsageError) as caught:
        target_info("corml")
    assert caught.value.fix == "Use coreml"


def test_every_target_names_the_packages_that_make_it():
    assert all(info.packages and info.suffix.startswith(".") for info in TARGETS.values())
