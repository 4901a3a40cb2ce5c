"""FasterNet: Chen et al., "Run, Don't Walk: Chasing Higher FLOPS for Faster Neural Networks".

CVPR 2023, arXiv:2303.03667; the authors' code: https://github.com/JierunChen/FasterNet.
Modules are named as there, so that the published checkpoints load as they are.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, ClassVar, Literal, cast, get_args

import torch
from torch import nn

from lightmobile.models.backbone import Layout
from lightmobile.models.fusion import fuse
from lightmobile.models.key_map import KeyMap
from lightmobile.models.layers.conv_norm import ConvNorm
from lightmobile.models.layers.drop_path import DropPath
from lightmobile.models.layers.fold import fold_norm, fold_scale
from lightmobile.models.layers.initialization import initialize_truncated
from lightmobile.models.layers.pconv import PConv, PConvForm, TShapedConv
from lightmobile.models.registry import register_model

__all__ = ["FasterNet", "PatchMerging", "fasternet_block"]

Activation = Literal["gelu", "relu"]
Norm = Literal["middle", "every"]
Spatial = Literal["pconv", "dwconv"]
_ACTIVATIONS: dict[str, type[nn.Module]] = {"gelu": nn.GELU, "relu": nn.ReLU}


class PatchEmbed(nn.Module):
    """A strided convolution and its norm: the image becomes patches."""

    def __init__(self, proj: nn.Conv2d, norm: nn.Module) -> None:
        super().__init__()
        self.proj = proj
        self.norm = norm

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.proj(x))

    def fused(self) -> PatchEmbed:
        return PatchEmbed(fold_norm(self.proj, self.norm), nn.Identity())


class PatchMerging(nn.Module):
    """A strided convolution and its norm: half the resolution, twice the channels."""

    def __init__(self, reduction: nn.Conv2d, norm: nn.Module) -> None:
        super().__init__()
        self.reduction = reduction
        self.norm = norm

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the features of `x` at half the resolution."""
        return self.norm(self.reduction(x))

    def fused(self) -> PatchMerging:
        """Return the convolution, with a bias; it keeps its name."""
        return PatchMerging(fold_norm(self.reduction, self.norm), nn.Identity())


class FasterNetBlock(nn.Module):
    """``x + drop_path(layer_scale * mlp(pconv(x)))``.

    Parameters
    ----------
    spatial_mixing
        A partial convolution, or another one that keeps the channels, without activation.
    mlp
        1x1 convolution, norm, activation, 1x1 convolution, norm; a norm may be an identity.
    layer_scale
        Initial factor of the branch for each channel; none where 0.
    drop_path
        Probability of dropping the branch.
    t_shaped
        Deploy the partial convolution and the first 1x1 as one `TShapedConv`.
    """

    layer_scale: nn.Parameter | None

    def __init__(
        self,
        spatial_mixing: nn.Module,
        mlp: nn.Sequential,
        layer_scale: float = 0.0,
        drop_path: float = 0.0,
        *,
        t_shaped: bool = False,
    ) -> None:
        super().__init__()
        self.spatial_mixing = spatial_mixing
        self.mlp = mlp
        channels = cast("nn.Conv2d", mlp[3]).out_channels
        scale = nn.Parameter(torch.empty(channels)) if layer_scale else None
        self.register_parameter("layer_scale", scale)
        self.drop_path = DropPath(drop_path) if drop_path else nn.Identity()
        self.t_shaped = t_shaped
        self._initial_scale = layer_scale
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the parameters that are this block's own, not its layers'."""
        if self.layer_scale is not None:
            nn.init.constant_(self.layer_scale, self._initial_scale)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        branch = self.mlp(self.spatial_mixing(x))
        if self.layer_scale is not None:
            branch = branch * self.layer_scale[:, None, None]
        return x + self.drop_path(branch)

    def fused(self) -> FasterNetBlock:
        expand, norm, act, project, last_norm = self.mlp
        mixing = fuse(self.spatial_mixing)
        first: nn.Module = fold_norm(cast("nn.Conv2d", expand), norm)
        if self.t_shaped:
            first = TShapedConv(cast("PConv", mixing), cast("nn.Conv2d", first))
            mixing = nn.Identity()
        last = fold_scale(fold_norm(cast("nn.Conv2d", project), last_norm), self.layer_scale)
        # The identities keep the last convolution's name, mlp.3.
        mlp = nn.Sequential(first, nn.Identity(), copy.deepcopy(act), last, nn.Identity())
        return FasterNetBlock(mixing, mlp)


def fasternet_block(
    channels: int,
    *,
    act: Activation = "relu",
    mlp_ratio: float = 2.0,
    n_div: int = 4,
    pconv: PConvForm = "slicing",
    spatial: Spatial = "pconv",
    norm: Norm = "middle",
    t_shaped: bool = False,
    layer_scale: float = 0.0,
    drop_path: float = 0.0,
) -> FasterNetBlock:
    """Return a block of so many channels; the options are those of `FasterNet`."""
    words = (("act", act, Activation), ("spatial", spatial, Spatial), ("norm", norm, Norm))
    for option, word, known in words:
        if word not in get_args(known):
            raise ValueError(f"{option} is one of {', '.join(get_args(known))}, not {word!r}")
    if t_shaped and (spatial != "pconv" or n_div == 1):
        raise ValueError("t_shaped needs spatial='pconv' and n_div of at least 2")
    hidden = int(channels * mlp_ratio)
    every = norm == "every"
    mixing: nn.Module
    if spatial == "pconv":
        mixing = PConv(channels, n_div, pconv, norm=every)
    else:
        mixing = _conv(channels, channels, 3, groups=channels, norm=every)
    mlp = nn.Sequential(
        nn.Conv2d(channels, hidden, 1, bias=False),
        nn.BatchNorm2d(hidden),
        _ACTIVATIONS[act](),
        nn.Conv2d(hidden, channels, 1, bias=False),
        nn.BatchNorm2d(channels) if every else nn.Identity(),
    )
    return FasterNetBlock(mixing, mlp, layer_scale, drop_path, t_shaped=t_shaped)


class Stage(nn.Module):
    """Blocks of one resolution."""

    def __init__(self, blocks: Iterable[FasterNetBlock]) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*blocks)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.blocks(x)


class FasterNet(nn.Module):
    """The FasterNet classifier: logits [N, num_classes] of images [N, 3, H, W].

    Parameters
    ----------
    embed_dim
        Channels of the first stage; each following stage doubles them.
    depths
        Blocks of each stage.
    act
        Activation; GELU is the exact one.
    num_classes
        Length of the logits.
    mlp_ratio
        Width of a block's hidden layer, in multiples of its channels.
    n_div
        One channel in `n_div` is convolved by 3x3, the rest passes through.
    feature_dim
        Channels of the head's hidden layer.
    layer_scale
        Initial factor of each block's branch; none where 0, as in all published variants.
    drop_path
        Probability of dropping the last block's branch; falls linearly to 0 at the first.
    pconv
        Form of the partial convolution, see `PConv`.
    spatial
        ``pconv``, or ``dwconv``: a depthwise 3x3 convolution in its place.
    norm
        ``middle``: in a block, only between the 1x1 convolutions. ``every``: after every
        convolution of the network (ours: after a PConv, of the channels that it convolves).
    t_shaped
        Deploy each PConv and the 1x1 after it as the one convolution they are: `TShapedConv`.
    """

    # timm puts each merge into the stage that follows it, and splits the head.
    key_maps: ClassVar[dict[str, KeyMap]] = {
        "timm": KeyMap(
            {
                "stages.1.": "stages.1.downsample.",
                "stages.2.": "stages.1.",
                "stages.3.": "stages.2.downsample.",
                "stages.4.": "stages.2.",
                "stages.5.": "stages.3.downsample.",
                "stages.6.": "stages.3.",
                "avgpool_pre_head.1.": "conv_head.",
                "head.": "classifier.",
            }
        )
    }

    def __init__(
        self,
        *,
        embed_dim: int,
        depths: Sequence[int],
        act: Activation,
        num_classes: int = 1000,
        mlp_ratio: float = 2.0,
        n_div: int = 4,
        feature_dim: int = 1280,
        layer_scale: float = 0.0,
        drop_path: float = 0.0,
        pconv: PConvForm = "slicing",
        spatial: Spatial = "pconv",
        norm: Norm = "middle",
        t_shaped: bool = False,
    ) -> None:
        super().__init__()
        rates = iter(_drop_path_rates(drop_path, sum(depths)))
        block = partial(
            fasternet_block,
            act=act,
            mlp_ratio=mlp_ratio,
            n_div=n_div,
            pconv=pconv,
            spatial=spatial,
            norm=norm,
            t_shaped=t_shaped,
            layer_scale=layer_scale,
        )
        channels = embed_dim
        self.patch_embed = PatchEmbed(_patches(3, channels, 4), nn.BatchNorm2d(channels))
        self.stages = nn.Sequential()
        for index, depth in enumerate(depths):
            if index:
                merge = _patches(channels, 2 * channels, 2)
                channels *= 2
                self.stages.append(PatchMerging(merge, nn.BatchNorm2d(channels)))
            self.stages.append(Stage(block(channels, drop_path=next(rates)) for _ in range(depth)))
        taps = tuple(range(0, len(self.stages), 2))  # Between them lie the merges.
        self.backbone_layout = Layout(taps, stem="patch_embed")
        self.avgpool_pre_head = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            _conv(channels, feature_dim, norm=norm == "every"),
            _ACTIVATIONS[act](),
        )
        self.head = nn.Linear(feature_dim, num_classes)
        self.apply(initialize_truncated)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits of images `x`."""
        x = self.stages(self.patch_embed(x))
        return self.head(self.avgpool_pre_head(x).flatten(1))


def _patches(channels: int, width: int, size: int) -> nn.Conv2d:
    return nn.Conv2d(channels, width, size, stride=size, bias=False)


def _conv(
    channels: int, width: int, kernel_size: int = 1, *, groups: int = 1, norm: bool
) -> nn.Module:
    if norm:
        return ConvNorm(channels, width, kernel_size, groups=groups)
    padding = kernel_size // 2
    return nn.Conv2d(channels, width, kernel_size, padding=padding, groups=groups, bias=False)


def _drop_path_rates(last: float, blocks: int) -> list[float]:
    return [last * index / max(1, blocks - 1) for index in range(blocks)]


def _fasternet(overrides: dict[str, Any], **variant: Any) -> FasterNet:
    return FasterNet(**(variant | overrides))


@register_model
def fasternet_t0(**overrides: Any) -> FasterNet:
    """FasterNet-T0: 3.9 M parameters, 0.34 GMACs."""
    return _fasternet(overrides, embed_dim=40, depths=(1, 2, 8, 2), act="gelu")


@register_model
def fasternet_t0_t_shaped(**overrides: Any) -> FasterNet:
    """FasterNet-T0, deployed with T-shaped convolutions."""
    return fasternet_t0(**({"t_shaped": True} | overrides))


@register_model
def fasternet_t0_dw(**overrides: Any) -> FasterNet:
    """FasterNet-T0 with depthwise convolutions in place of PConv: 10 % fewer MACs."""
    return fasternet_t0(**({"spatial": "dwconv"} | overrides))


@register_model
def fasternet_t0_dw_wide(**overrides: Any) -> FasterNet:
    """FasterNet-T0 with depthwise convolutions, widened to the MACs of PConv, less 0.4 %."""
    return fasternet_t0_dw(**({"embed_dim": 42} | overrides))


@register_model
def fasternet_t0_relu(**overrides: Any) -> FasterNet:
    """FasterNet-T0 with ReLU in place of GELU."""
    return fasternet_t0(**({"act": "relu"} | overrides))


@register_model
def fasternet_t0_norms(**overrides: Any) -> FasterNet:
    """FasterNet-T0 with a norm after every convolution; deployed, biases are left of them."""
    return fasternet_t0(**({"norm": "every"} | overrides))


@register_model
def fasternet_t1(**overrides: Any) -> FasterNet:
    """FasterNet-T1: 7.6 M parameters, 0.85 GMACs."""
    return _fasternet(overrides, embed_dim=64, depths=(1, 2, 8, 2), act="gelu", drop_path=0.02)


@register_model
def fasternet_t2(**overrides: Any) -> FasterNet:
    """FasterNet-T2: 15.0 M parameters, 1.90 GMACs."""
    return _fasternet(overrides, embed_dim=96, depths=(1, 2, 8, 2), act="relu", drop_path=0.05)


@register_model
def fasternet_s(**overrides: Any) -> FasterNet:
    """FasterNet-S: 31.1 M parameters, 4.55 GMACs."""
    return _fasternet(overrides, embed_dim=128, depths=(1, 2, 13, 2), act="relu", drop_path=0.1)


@register_model
def fasternet_m(**overrides: Any) -> FasterNet:
    """FasterNet-M: 53.5 M parameters, 8.72 GMACs."""
    return _fasternet(overrides, embed_dim=144, depths=(3, 4, 18, 3), act="relu", drop_path=0.2)


@register_model
def fasternet_l(**overrides: Any) -> FasterNet:
    """FasterNet-L: 93.4 M parameters, 15.49 GMACs."""
    return _fasternet(overrides, embed_dim=192, depths=(3, 4, 18, 3), act="relu", drop_path=0.3)
