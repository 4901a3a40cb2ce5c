"""VanillaNet: Chen et al., "VanillaNet: the Power of Minimalism in Deep Learning".

NeurIPS 2023, arXiv:2305.12972; the authors' code: https://github.com/huawei-noah/VanillaNet.
The deployed form's keys are the published ones, the training form's follow by a key map.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import nn
from torch.nn import functional as F

from lightmobile.models.backbone import Layout
from lightmobile.models.fusion import fuse
from lightmobile.models.key_map import KeyMap
from lightmobile.models.layers.adaptive_max_pool import AdaptiveMaxPool2d
from lightmobile.models.layers.deep_training import DeepConv
from lightmobile.models.layers.initialization import initialize_truncated
from lightmobile.models.layers.series_activation import series_activation
from lightmobile.models.registry import register_model

__all__ = ["VanillaNet"]

Activation = Literal["relu", "tanh"]
Shortcut = Literal["before_act", "after_act"]
_ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh}

_norm = partial(nn.BatchNorm2d, eps=1e-6)


class VanillaBlock(nn.Module):
    """``act(pool(conv(x)))``: one layer of the deployed network.

    Parameters
    ----------
    conv
        Two 1x1 convolutions that become one.
    pool
        Where the stride is not 1.
    act
        A series activation.
    shortcut
        None, as in all published variants; else where the block's input is added, for the
        ablation. Pooling fits its resolution, and channels of zeros its width (ours, after the
        parameter-free shortcut of He et al., CVPR 2016).
    """

    # Nothing leads around a block; see `untrained`.
    untrained_identities: ClassVar[dict[str, float]] = {
        "conv.conv1.0": 9.0,
        "conv.conv2.0": 9.0,
        "act": 9.0,
    }

    def __init__(
        self, conv: nn.Module, pool: nn.Module, act: nn.Module, shortcut: Shortcut | None = None
    ) -> None:
        super().__init__()
        self.conv = conv
        self.pool = pool
        self.act = act
        self.shortcut = shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.pool(self.conv(x))
        if self.shortcut is None:
            return self.act(y)
        skip = F.pad(self.pool(x), (0, 0, 0, 0, 0, y.shape[1] - x.shape[1]))
        return self.act(y + skip) if self.shortcut == "before_act" else self.act(y) + skip


class VanillaNet(nn.Module):
    """The VanillaNet classifier: logits [N, num_classes] of images [N, 3, H, W].

    Between the convolutions of each pair stands an activation that fades as training goes on: see
    `lightmobile.models.layers.deep_training`. Here it starts faded, ready to fuse; begin a training
    with ``set_lambda(model, 0)``.

    Parameters
    ----------
    dims
        Channels of the stem and of each block.
    strides
        Of each block.
    num_classes
        Length of the logits.
    act
        The activation A, both in the series and between the convolutions.
    act_num
        Order n of the series activation; 0 is plain A.
    ada_pool
        Size that each block pools to, where its stride is not 1; the stem then has stride 3.
    drop_rate
        Dropout before the head.
    shortcut
        See `VanillaBlock`.
    """

    def __init__(
        self,
        *,
        dims: Sequence[int],
        strides: Sequence[int],
        num_classes: int = 1000,
        act: Activation = "relu",
        act_num: int = 3,
        ada_pool: Sequence[int] | None = None,
        drop_rate: float = 0.0,
        shortcut: Shortcut | None = None,
    ) -> None:
        super().__init__()
        if act not in _ACTIVATIONS:
            raise ValueError(f"act is one of {', '.join(_ACTIVATIONS)}, not {act!r}")
        if act_num < 0:
            raise ValueError(f"act_num is at least 0, not {act_num}")
        if shortcut not in (None, *get_args(Shortcut)):
            raise ValueError(f"shortcut is None, before_act or after_act, not {shortcut!r}")
        activation = _ACTIVATIONS[act]
        sizes = ada_pool or [0] * len(strides)
        if not len(strides) == len(sizes) == len(dims) - 1:
            raise ValueError("dims has one entry more than strides, and ada_pool as many")

        def block(dim: int, width: int, stride: int, size: int) -> VanillaBlock:
            pair = _pair(nn.Conv2d(dim, dim, 1), width, activation, _norm(width))
            series = series_activation(width, act_num, activation)
            return VanillaBlock(pair, _pool(stride, size), series, shortcut)

        stride, padding = (3, 1) if ada_pool else (4, 0)
        stem = nn.Conv2d(3, dims[0], 4, stride=stride, padding=padding)
        head = nn.Conv2d(dims[-1], num_classes, 1)
        self.stem = nn.Sequential(
            _pair(stem, dims[0], activation, _norm(dims[0])),
            series_activation(dims[0], act_num, activation),
        )
        self.stages = nn.Sequential(
            *map(block, dims[:-1], dims[1:], strides, sizes),
        )
        self.cls = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Dropout(drop_rate),
            _pair(head, num_classes, activation, None),
        )
        ends = [index - 1 for index, stride in enumerate(strides) if stride != 1]
        self.backbone_layout = Layout(taps=(*ends, len(strides) - 1))
        self.key_maps = {"official": _official_keys(len(strides))}
        self.apply(initialize_truncated)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits of images `x`."""
        return self.cls(self.stages(self.stem(x))).flatten(1)


def _pair(
    first: nn.Conv2d, width: int, activation: type[nn.Module], norm: nn.Module | None
) -> DeepConv:
    """Return `first` and a 1x1 convolution to `width` channels, which `norm` follows."""
    second = nn.Conv2d(first.out_channels, width, 1)
    return DeepConv(first, second, activation, (_norm(first.out_channels), norm))


def _pool(stride: int, size: int) -> nn.Module:
    if stride == 1:
        return nn.Identity()
    return AdaptiveMaxPool2d(size) if size else nn.MaxPool2d(stride)


def _official_keys(blocks: int) -> KeyMap:
    """Return the authors' names of the training form's layers; the deployed form's are ours."""
    prefixes = {
        "stem.0.conv1.": "stem1.",
        "stem.0.conv2.": "stem2.",
        "stem.1.": "stem2.2.",
        "cls.2.conv1.0.": "cls1.2.",
        "cls.2.conv1.1.": "cls1.3.",
        "cls.2.conv2.": "cls2.",
    }
    for block in range(blocks):
        for conv in ("conv1", "conv2"):
            prefixes[f"stages.{block}.conv.{conv}."] = f"stages.{block}.{conv}."
    return KeyMap(prefixes)


Blocks = tuple[tuple[int, ...], tuple[int, ...]]


def _blocks(depth: int) -> Blocks:
    """Return the channels, in units of the stem's, and the strides of `depth` >= 7 layers."""
    return (1, 1, 2, *(4,) * (depth - 6), 8, 8), (1, 2, 2, *(1,) * (depth - 7), 2, 1)


def _vanillanet(
    overrides: dict[str, Any], blocks: Blocks, *, width: int = 512, **variant: Any
) -> nn.Module:
    """Build a variant.

    In `overrides`, ``width`` is the stem's, of which the blocks' are multiples, and ``deploy=True``
    means the deployed form.
    """
    units, strides = blocks
    options = dict(overrides)
    width = options.pop("width", width)
    deploy = options.pop("deploy", False)
    options = {"dims": [width * unit for unit in units], "strides": strides} | variant | options
    model = VanillaNet(**options)
    return fuse(model) if deploy else model


@register_model
def vanillanet_5(**overrides: Any) -> nn.Module:
    """VanillaNet-5: 15.5 M parameters, 5.2 GMACs, deployed."""
    return _vanillanet(overrides, ((1, 2, 4, 8), (2, 2, 2)))


@register_model
def vanillanet_6(**overrides: Any) -> nn.Module:
    """VanillaNet-6: 32.5 M parameters, 6.0 GMACs, deployed."""
    return _vanillanet(overrides, ((1, 2, 4, 8, 8), (2, 2, 2, 1)))


@register_model
def vanillanet_6_shortcut(**overrides: Any) -> nn.Module:
    """VanillaNet-6 with shortcuts around its blocks, for the ablation; its places are ours."""
    blocks = ((1, 2, 4, 8, 8), (2, 2, 2, 1))
    return _vanillanet(overrides, blocks, shortcut="before_act")


@register_model
def vanillanet_7(**overrides: Any) -> nn.Module:
    """VanillaNet-7: 32.8 M parameters, 6.9 GMACs, deployed."""
    return _vanillanet(overrides, _blocks(7))


@register_model
def vanillanet_8(**overrides: Any) -> nn.Module:
    """VanillaNet-8: 37.1 M parameters, 7.7 GMACs, deployed."""
    return _vanillanet(overrides, _blocks(8))


@register_model
def vanillanet_9(**overrides: Any) -> nn.Module:
    """VanillaNet-9: 41.4 M parameters, 8.6 GMACs, deployed."""
    return _vanillanet(overrides, _blocks(9))


@register_model
def vanillanet_10(**overrides: Any) -> nn.Module:
    """VanillaNet-10: 45.7 M parameters, 9.4 GMACs, deployed."""
    return _vanillanet(overrides, _blocks(10))


@register_model
def vanillanet_11(**overrides: Any) -> nn.Module:
    """VanillaNet-11: 50.0 M parameters, 10.3 GMACs, deployed."""
    return _vanillanet(overrides, _blocks(11))


@register_model
def vanillanet_12(**overrides: Any) -> nn.Module:
    """VanillaNet-12: 54.3 M parameters, 11.1 GMACs, deployed."""
    return _vanillanet(overrides, _blocks(12))


@register_model
def vanillanet_13(**overrides: Any) -> nn.Module:
    """VanillaNet-13: 58.6 M parameters, 11.9 GMACs, deployed."""
    return _vanillanet(overrides, _blocks(13))


@register_model
def vanillanet_13_x1_5(**overrides: Any) -> nn.Module:
    """VanillaNet-13-1.5x: 127.8 M parameters, 26.5 GMACs, deployed."""
    return _vanillanet(overrides, _blocks(13), width=768)


@register_model
def vanillanet_13_x1_5_ada_pool(**overrides: Any) -> nn.Module:
    """VanillaNet-13-1.5x-dagger: 127.8 M parameters, 48.9 GMACs, deployed.

    Its maps are larger: the stem has stride 3, and pooling goes to 38, 19 and 10 as in the
    authors' code, where the paper prints 40, 20 and 10.
    """
    ada_pool = (0, 38, 19, 0, 0, 0, 0, 0, 0, 10, 0)
    return _vanillanet(overrides, _blocks(13), width=768, ada_pool=ada_pool)
