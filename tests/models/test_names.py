import pytest

from lightmobile.errors import UsageError
from lightmobile.models import create_model, model_info
from lightmobile.models.names import ModelName


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("4", 4),
        ("-1", -1),
        ("0.25", 0.25),
        ("1e-3", 1e-3),
        ("true", True),
        ("false", False),
        ("none", None),
        ("before_act", "before_act"),
        ("1x1x3x1", (1, 1, 3, 1)),
    ],
)
def test_an_option_has_the_value_it_looks_like(text, value):
    assert ModelName.parse(f"net,key={text}").options == {"key": value}


def test_a_name_is_taken_apart():
    name = ModelName.parse("regnety_400mf@dWr:8,num_classes=10,resolution=96x64,training=true")
    assert name.base == "regnety_400mf@dWr:8"
    assert name.options == {"num_classes": 10}
    assert name.resolution == (96, 64)
    assert name.training
    assert ModelName.parse("net,resolution=32").resolution == (32, 32)
    assert ModelName.parse("fasternet_t0") == ModelName("fasternet_t0")


@pytest.mark.parametrize(
    "name",
    [
        "net,",
        "net,key",
        "net,key=",
        "net,=1",
        "net,a=1,a=2",
        "net,key=a b",
        "net,key=__import__('os')",
        "net,a-b=1",
        "net,resolution=0",
        "net,resolution=wide",
        "net,resolution=1x2x3",
        "net,resolution=true",
        "net,training=3",
    ],
)
def test_a_wrong_option_is_told(name):
    with pytest.raises(UsageError) as told:
        ModelName.parse(name)
    assert told.value.what


def test_options_reach_the_builder_and_leave_the_published_figures_behind():
    facts = model_info("vanillanet_5,act_num=1,resolution=64,num_classes=7")
    assert (facts.input_size, facts.num_classes, facts.published) == ((64, 64), 7, {})
    assert facts.preprocessing.crop == (64, 64)
    assert model_info("vanillanet_5").published
    assert create_model("fasternet_t0,num_classes=7").head.out_features == 7
    with pytest.raises(UsageError, match="cannot be built"):
        create_model("vanillanet_5,wings=2")


def test_what_is_called_with_comes_before_what_the_name_says():
    assert create_model("fasternet_t0,num_classes=7", num_classes=3).head.out_features == 3
