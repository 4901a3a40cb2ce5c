"""Networks for scikit-learn's handwritten digits."""

from typing import Any

from torch import nn

from lightmobile.models import ModelFacts, register_model
from lightmobile.models.fasternet import FasterNet
from lightmobile.models.preprocessing import Preprocessing
from lightmobile.models.vanillanet import VanillaNet


def _facts(name: str, family: str) -> ModelFacts:
    return ModelFacts(
        name=name,
        family=family,
        module=__name__,
        input_size=(32, 32),
        num_classes=10,
        preprocessing=Preprocessing(
            resize=32, crop=(32, 32), interpolation="bilinear", mean=(0.5,) * 3, std=(0.5,) * 3
        ),
    )


@register_model(facts=_facts("fasternet_digits", "FasterNet"))
def fasternet_digits(**overrides: Any) -> nn.Module:
    size = {"embed_dim": 16, "depths": (1, 1, 2, 1), "feature_dim": 64, "num_classes": 10}
    return FasterNet(**size | {"act": "relu"} | overrides)


@register_model(facts=_facts("vanillanet_digits", "VanillaNet"))
def vanillanet_digits(**overrides: Any) -> nn.Module:
    size = {"dims": (24, 48, 48), "strides": (2, 1), "act_num": 1, "num_classes": 10}
    return VanillaNet(**size | overrides)
