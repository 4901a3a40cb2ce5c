"""timm's networks, as ``timm:NAME`` or ``timm:NAME.TAG``.

They are timm's code unchanged; https://github.com/huggingface/pytorch-image-models.
"""

from __future__ import annotations

import difflib
import inspect
import math
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from lightmobile.errors import UsageError
from lightmobile.models.bridges.timm_import import import_timm
from lightmobile.models.preprocessing import Preprocessing

if TYPE_CHECKING:
    from torch import nn

    from lightmobile.models.registry import ModelFacts

__all__ = ["build", "facts", "import_timm", "is_timm", "names"]

_PREFIX = "timm:"
# A detector's or segmenter's: the outputs at strides 4, 8, 16 and 32.
_FEATURES = 4


def is_timm(name: str) -> bool:
    """Tell whether the model `name` is timm's."""
    return name.startswith(_PREFIX)


def names(pattern: str) -> list[str]:
    """Return the names that match a shell `pattern`, with a tag if the pattern has one."""
    timm, wanted = import_timm(), pattern.removeprefix(_PREFIX)
    known = timm.list_pretrained() if "." in wanted else timm.list_models()
    return sorted(_PREFIX + name for name in known if fnmatchcase(name, wanted))


def facts(name: str) -> ModelFacts:
    """Return what timm says of the model.

    Raises
    ------
    UsageError
        timm is not installed, has no such model, or it does not take RGB images of one size.
    """
    from lightmobile.models.registry import ModelFacts

    cfg = _configuration(name)
    if not cfg.input_size or cfg.input_size[0] != 3:
        raise UsageError(f"{name} does not take RGB images of one size")
    size = (cfg.input_size[1], cfg.input_size[2])
    paper = ", ".join(filter(None, (cfg.paper_name, _papers(cfg.paper_ids))))
    return ModelFacts(
        name=name,
        family="timm",
        module=__name__,
        input_size=size,
        num_classes=cfg.num_classes,
        preprocessing=Preprocessing(
            resize=math.floor(min(size) / cfg.crop_pct),
            crop=size,
            interpolation="bilinear" if cfg.interpolation == "bilinear" else "bicubic",
            mean=tuple(cfg.mean),
            std=tuple(cfg.std),
        ),
        paper=paper,
        source=cfg.origin_url or "https://github.com/huggingface/pytorch-image-models",
        pretrained=cfg.hf_hub_id or "",
    )


def build(name: str, overrides: dict[str, Any], seed: int) -> nn.Module:
    """Let timm build the model, without pretrained weights; `overrides` are its options.

    Raises
    ------
    UsageError
        timm is not installed, has no such model, or refuses the options.
    """
    import torch

    _configuration(name)
    timm = import_timm()
    # What says where weights come from: a manifest of a stranger must not reach out.
    reserved = sorted(inspect.signature(timm.create_model).parameters.keys() & overrides)
    if reserved:
        raise UsageError(f"{', '.join(reserved)} cannot be an option of {name}")
    if overrides.get("features_only"):
        overrides = {"out_indices": range(-_FEATURES, 0)} | overrides
    with torch.device("cpu"), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            network: nn.Module = timm.create_model(name.removeprefix(_PREFIX), **overrides)
        except Exception as error:
            raise UsageError(
                f"timm cannot build {name} with {overrides}",
                why=f"{type(error).__name__}: {error}",
            ) from error
    return network


def _configuration(name: str) -> Any:
    timm, short = import_timm(), name.removeprefix(_PREFIX)
    # timm also takes names that say where on a hub or a disk a model lies: not here.
    if timm.is_model(short) and "/" not in short and ":" not in short:
        with suppress(RuntimeError):  # no such tag
            return timm.get_pretrained_cfg(short, allow_unregistered=False)
    near = difflib.get_close_matches(short, [*timm.list_models(), *timm.list_pretrained()], n=3)
    raise UsageError(
        f"timm {timm.__version__} has no model {short!r}",
        fix=(f"Did you mean {' or '.join(_PREFIX + each for each in near)}? " if near else "")
        + "`lightmobile models 'timm:*'` lists them all",
    )


def _papers(ids: str | tuple[str, ...] | None) -> str:
    return ", ".join([ids] if isinstance(ids, str) else ids or ())
