"""The models by name: their facts, and how each is built.

Facts are data (``facts/*.toml``), so that listing models imports neither torch nor a family.
"""

from __future__ import annotations

import importlib
import math
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, TypeVar, overload

from lightmobile import plugins
from lightmobile.errors import UsageError
from lightmobile.models import operators
from lightmobile.models.bridges import function, timm_bridge
from lightmobile.models.names import ModelName
from lightmobile.models.preprocessing import Preprocessing
from lightmobile.models.scaling import Scaling

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    from torch import nn

__all__ = ["ModelFacts", "create_model", "list_models", "model_info", "register_model"]

Builder = TypeVar("Builder", bound="Callable[..., nn.Module]")


@dataclass(frozen=True)
class ModelFacts:
    """What is known of a model before it is built.

    Attributes
    ----------
    name, family
        ``fasternet_t0``, ``FasterNet``.
    module
        The Python module that registers its builder.
    input_size
        Height and width in pixels.
    num_classes
        Length of the logits.
    preprocessing
        How photographs were prepared for the published accuracy.
    published
        Figures that the source prints: ``params``, ``macs``, ``top1`` in percent.
    paper, source
        Where the model and those figures come from.
    pretrained
        Repository of the Hugging Face hub with weights in ``model.safetensors``, if there is one.
    scalable
        ``NAME@STRATEGY:SCALE`` is a model too: its builder takes ``factors`` (a
        `scaling.Factors`), and its module has ``depths`` and ``widths``, by stage.
    """

    name: str
    family: str
    module: str
    input_size: tuple[int, int]
    num_classes: int
    preprocessing: Preprocessing
    published: dict[str, float] = field(default_factory=dict)
    paper: str = ""
    source: str = ""
    pretrained: str = ""
    scalable: bool = False

    def at(self, input_size: tuple[int, int] | None) -> ModelFacts:
        """Return the facts for another input size; the crop keeps its share of the photograph."""
        if input_size is None or input_size == self.input_size:
            return self
        share = min(self.preprocessing.crop) / self.preprocessing.resize
        resize = math.floor(min(input_size) / share)
        preprocessing = replace(self.preprocessing, resize=resize, crop=input_size)
        return replace(self, input_size=input_size, preprocessing=preprocessing)

    def scaled(self, scaling: str) -> ModelFacts:
        """Return the facts of this model under `scaling`, such as ``dWr:8``."""
        factors = Scaling.parse(scaling).factors
        if not self.scalable:
            bases = [name for name in list_models() if model_info(name).scalable]
            raise UsageError(f"{self.name} cannot be scaled", fix=f"These can: {', '.join(bases)}")
        facts = self.at(factors.input_size(self.input_size))
        return replace(facts, name=f"{self.name}@{scaling}", published={}, pretrained="")


_BUILDERS: dict[str, Callable[..., nn.Module]] = {}
_PLUGIN_FACTS: dict[str, ModelFacts] = {}


@overload
def register_model(builder: Builder, /) -> Builder: ...
@overload
def register_model(*, facts: ModelFacts) -> Callable[[Builder], Builder]: ...


def register_model(
    builder: Builder | None = None, /, *, facts: ModelFacts | None = None
) -> Builder | Callable[[Builder], Builder]:
    """Register a function that builds the model it is named after.

    A family of this package keeps its facts in ``facts/<family>.toml``. Another package passes
    them, and names any object of its module in the entry points group ``lightmobile.models``:
    loading that object runs the decorator, which is all there is to do.

    ::

        @register_model(facts=ModelFacts(name="acme_tiny", ...))
        def acme_tiny(**overrides):
            return Acme(width=16, **overrides)
    """

    def register(builder: Builder) -> Builder:
        name = facts.name if facts else builder.__name__
        if facts:
            if name in _builtin_facts() or name in _PLUGIN_FACTS:
                raise UsageError(f"There are two models named {name!r}", fix="Rename yours")
            _PLUGIN_FACTS[name] = facts
        _BUILDERS[name] = builder
        return builder

    return register(builder) if builder else register


def list_models(pattern: str = "*") -> list[str]:
    """Return the names that match a shell `pattern`, sorted.

    Scaled models are endless, and listed by their base: ``regnet*@dWr:8``. timm's are listed where
    `pattern` begins with ``timm:``, operators where it begins with ``op:``.
    """
    if timm_bridge.is_timm(pattern):
        return timm_bridge.names(pattern)
    if operators.is_operator(pattern):
        return [name for name in operators.names() if fnmatchcase(name, pattern)]
    plugins.load("lightmobile.models")
    pattern, at, scaling = pattern.partition("@")
    known = _builtin_facts() | _PLUGIN_FACTS
    names = sorted(name for name in known if fnmatchcase(name, pattern))
    if not at:
        return names
    return [known[name].scaled(scaling).name for name in names if known[name].scalable]


def model_info(name: str) -> ModelFacts:
    """Return the facts of model `name`.

    It may be scaled, and carry options: ``regnety_400mf@dWr:8``, ``vanillanet_5,act_num=4``; what
    is published of the plain one does not hold of it.

    Raises
    ------
    UsageError
        There is no such model, and the message suggests the nearest names; or it cannot be
        scaled like that.
    """
    parsed = ModelName.parse(name)
    if operators.is_operator(name):
        return operators.facts(name, parsed)
    if parsed.base == name:
        return _plain_info(name)
    facts = _plain_info(parsed.base).at(parsed.resolution)
    classes = parsed.options.get("num_classes", facts.num_classes)
    return replace(facts, name=name, num_classes=classes, published={}, pretrained="")


def _plain_info(name: str) -> ModelFacts:
    """Return the facts of a model whose name has no options."""
    if bridge := _bridge(name):
        facts: ModelFacts = bridge.facts(name)
        return facts
    base, at, scaling = name.partition("@")
    if at:
        return model_info(base).scaled(scaling)
    if name in _builtin_facts():
        return _builtin_facts()[name]
    known = list_models()
    if name not in _PLUGIN_FACTS:
        raise UsageError(
            f"There is no model {name!r}",
            fix=f"Did you mean {plugins.suggest(name.lower(), known)}? "
            "`lightmobile models` lists them all",
        )
    return _PLUGIN_FACTS[name]


def create_model(
    name: str,
    checkpoint: str | Path | None = None,
    *,
    pretrained: bool = False,
    scale: float | None = None,
    strategy: str = "dWr",
    **overrides: Any,
) -> nn.Module:
    """Build a model in its training form, in training mode.

    Parameters
    ----------
    name
        One of `list_models`, ``timm:NAME``, ``package.module:function`` or ``op:OPERATOR``, with
        options where wanted: ``vanillanet_5,act_num=4``.
    checkpoint
        File with its weights; its paper's initialisation where None.
    pretrained
        Use the published weights of the Hugging Face hub.
    scale, strategy
        Another way to write ``NAME@STRATEGY:SCALE``.
    overrides
        Options of the family, such as ``num_classes=10``, and of every family:
        ``features_only=True`` leaves the head out, and the outputs are those of the stages, see
        `lightmobile.models.backbone`.

    Raises
    ------
    UsageError
        Unknown model, unknown or impossible option, or a checkpoint that does not fit.
    """
    if scale is not None:
        name = f"{name}@{strategy}:{scale}"
    if pretrained:
        from lightmobile.models.hub import download

        if checkpoint is not None:
            raise UsageError("A checkpoint and pretrained weights", fix="Give one of the two")
        checkpoint = download(model_info(name)).path
    if checkpoint is None:
        return build(name, overrides)
    import torch

    from lightmobile.models.checkpoints import load_checkpoint

    with torch.device("meta"):
        model = build(name, overrides)
    load_checkpoint(model, checkpoint)
    return model


def build(
    name: str,
    overrides: dict[str, Any],
    *,
    input_size: tuple[int, int] | None = None,
    seed: int = 0,
) -> nn.Module:
    """Build a model on torch's current device.

    One from a bridge is built on the CPU, whatever the device, with weights drawn from `seed`, for
    images of `input_size`; ours take all sizes. `overrides` come before the options of the name.
    """
    parsed = ModelName.parse(name)
    options = parsed.options | overrides
    if operators.is_operator(name):
        network = operators.build(name, options)
    elif bridge := _bridge(parsed.base):
        from lightmobile.models.bridges.foreign import Foreign

        inner = bridge.build(parsed.base, options, seed)
        network = Foreign(inner, name, input_size or model_info(name).input_size)
    else:
        network = _build_ours(name, parsed.base, options)
    if parsed.training:
        from lightmobile.models.fusion import keep_training_form

        keep_training_form(network)
    return network


def _build_ours(name: str, plain: str, options: dict[str, Any]) -> nn.Module:
    facts = _plain_info(plain)
    importlib.import_module(facts.module)
    base, at, scaling = plain.partition("@")
    factors = {"factors": Scaling.parse(scaling).factors} if at else {}
    features_only = options.pop("features_only", False)
    try:
        network = _BUILDERS[base](**factors, **options)
        return _backbone(network) if features_only else network
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"{name} cannot be built with {options}",
            why=str(error),
            fix=f"Options and their values: help({facts.module})",
        ) from error


def _bridge(name: str) -> ModuleType | None:
    if timm_bridge.is_timm(name):
        return timm_bridge
    return function if function.is_function(name) else None


def _backbone(network: nn.Module) -> nn.Module:
    from lightmobile.models.backbone import Backbone

    return Backbone(network)


@cache
def _builtin_facts() -> dict[str, ModelFacts]:
    folder = resources.files("lightmobile.models") / "facts"
    files = [entry for entry in folder.iterdir() if entry.name.endswith(".toml")]
    return {
        facts.name: facts
        for file in files
        for facts in _parse(file.name.removesuffix(".toml"), tomllib.loads(file.read_text("utf-8")))
    }


def _parse(module: str, table: dict[str, Any]) -> list[ModelFacts]:
    """Return the facts of one family's file; a variant's table overrides the family's."""
    variants = table.pop("variants")
    return [_facts(name, module, table | variant) for name, variant in variants.items()]


def _facts(name: str, module: str, table: dict[str, Any]) -> ModelFacts:
    size = tuple(table["input_size"])
    recipe = table["preprocessing"]
    return ModelFacts(
        name=name,
        family=table["family"],
        module=f"lightmobile.models.{module}",
        input_size=size,
        num_classes=table["num_classes"],
        preprocessing=Preprocessing(
            resize=math.floor(min(size) / recipe["crop_fraction"]),
            crop=size,
            interpolation=recipe["interpolation"],
            mean=tuple(recipe["mean"]),
            std=tuple(recipe["std"]),
        ),
        published=table["published"],
        paper=table["paper"],
        source=table["source"],
        pretrained=table.get("pretrained", ""),
        scalable=table.get("scalable", False),
    )
