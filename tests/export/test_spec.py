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
    assert target_info(target).backends[backend].why_default


@pytest.mark.parametrize(
    ("choices", "can"),
    [
        ({"target": "tflite", "precision": "fp16"}, "fp32"),
        ({"target": "executorch", "precision": "w4p"}, "fp32, fp16"),
        ({"target": "executorch", "backend": "vulkan", "precision": "int8"}, "fp32, fp16"),
        ({"target": "executorch", "backend": "metal"}, "xnnpack, portable"),
        ({"target": "executorch", "precision": "fp16", "io": "int8"}, "float32"),
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


@pytest.mark.parametrize(
    ("choices", "what"),
    [
        ({"keep_fp": ("head",)}, "fp32 is not quantized"),
        ({"min_sqnr": 20.0}, "fp32 is not quantized"),
        ({"io": "int8"}, "do not go with fp32"),
        ({"precision": "int8_dynamic", "io": "int8"}, "do not go with int8_dynamic"),
        ({"precision": "int8", "min_sqnr": float("nan")}, "is no SQNR"),
    ],
)
def test_what_belongs_to_quantization_goes_with_it_only(choices, what):
    with pytest.raises(UsageError, match=what):
        ExportSpec("tflite", **choices)


def test_an_unknown_target_gets_the_nearest_name():
    with pytest.raises(UsageError) as caught:
        target_info("corml")
    assert caught.value.fix == "Use coreml"


def test_every_target_names_the_packages_that_make_it():
    assert all(info.packages and info.suffix.startswith(".") for info in TARGETS.values())
