"""FalconNet: Cai & Shen, "FalconNet: Factorization for the Light-weight ConvNets".

arXiv:2306.06365. We found no public code and could read a digest of the paper only, whose formulas
and figures are lost: where the text says "ours", no source that we could read says. All sizes but
the depths and widths of the stages are ours, and so are the counts; no accuracy is claimed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any, Literal, TypeVar

import torch
from torch import nn

from lightmobile.models.backbone import Layout
from lightmobile.models.fasternet import PatchMerging, fasternet_block
from lightmobile.models.layers.conv_norm import ConvNorm
from lightmobile.models.layers.pconv import PConv
from lightmobile.models.layers.ref_co import RefCO, RefCOForm
from lightmobile.models.layers.rep_so import RepSO
from lightmobile.models.registry import register_model

__all__ = ["FalconNet", "LightNet", "MetaBasicBlock", "depthwise", "inverted_residual", "sandglass"]

SpatialOperator = Callable[[int], nn.Module]
ChannelOperator = Callable[[int, int], nn.Module]
Operator = TypeVar("Operator")
Spatial = Literal["identity", "dwconv", "pconv", "rep_so"]
Channel = Literal["dense", "ref_co"]
Place = Literal["s1", "c1", "s2", "c2", "s3"]


def depthwise(channels: int) -> ConvNorm:
    """Return a depthwise 3x3 convolution and its norm."""
    return ConvNorm(channels, channels, 3, groups=channels)


class MetaBasicBlock(nn.Module):
    """``x + s3(c2(s2(c1(s1(x)))))``: spatial and channel operators in turn.

    The light networks' blocks are instances: MobileNetV2's has a depthwise convolution at s2,
    FasterNet's a partial one at s1. The default has none: what the frame alone can do. With an
    operator at s2 only, it is the paper's Meta Light Block.

    Parameters
    ----------
    channels
        Of the input and of the output, [N, C, H, W], hence the shortcut (ours).
    s1, s2, s3
        Make the spatial operators of so many channels: `nn.Identity`, `depthwise`, `PConv` or
        `RepSO`. They bring their own norms, if any.
    expansion
        Channels between c1 and c2, in multiples of `channels`; below 1 for a bottleneck.
    channel
        Makes the channel operators c1 and c2 of so many inputs and outputs, with their norms.
    act
        Makes the activation.
    act_after
        After which operators it stands; there is none after an identity. The default is ours.
    """

    def __init__(
        self,
        channels: int,
        s1: SpatialOperator = nn.Identity,
        s2: SpatialOperator = nn.Identity,
        s3: SpatialOperator = nn.Identity,
        *,
        expansion: float = 4.0,
        channel: ChannelOperator = ConvNorm,
        act: Callable[[], nn.Module] = nn.ReLU,
        act_after: Collection[Place] = ("c1", "s2"),
    ) -> None:
        super().__init__()
        hidden = int(channels * expansion)
        operators = OrderedDict(
            s1=s1(channels),
            c1=channel(channels, hidden),
            s2=s2(hidden),
            c2=channel(hidden, channels),
            s3=s3(channels),
        )
        self.branch = nn.Sequential()
        for place, operator in operators.items():
            if not isinstance(operator, nn.Identity):
                last = f"branch.{place}"
                self.branch.add_module(place, operator)
                if place in act_after:
                    self.branch.add_module(f"act_{place}", act())
        # Weights that let the shortcut lead; see `untrained`.
        self.untrained_deviations = {
            name: 0.2
            for name, layer in self.named_modules()
            if name.startswith(last) and isinstance(layer, nn.Conv2d)
        }

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the features of `x`; the shape stays."""
        return x + self.branch(x)


def inverted_residual(channels: int) -> MetaBasicBlock:
    """Return the block of MobileNetV2 (Sandler et al., CVPR 2018, arXiv:1801.04381)."""
    return MetaBasicBlock(channels, s2=depthwise, expansion=6, act=nn.ReLU6)


def sandglass(channels: int) -> MetaBasicBlock:
    """Return the block of MobileNeXt (Zhou et al., ECCV 2020, arXiv:2007.02269).

    It is reduced by 4, where its paper reduces by 6, which does not divide LightNet's widths.
    """
    return MetaBasicBlock(
        channels,
        s1=depthwise,
        s3=depthwise,
        expansion=1 / 4,
        act=nn.ReLU6,
        act_after=("s1", "c2"),
    )


class Stem(nn.Module):
    """A quarter of the resolution: 3x3 by 2, depthwise 3x3 and 1x1, depthwise 3x3 by 2.

    The shortcut goes around the second and third, the only ones that keep the shape: its place in
    the paper's figure we could not see. The activations are ours too.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = ConvNorm(3, width, 3, stride=2, act=nn.ReLU)
        self.mix = nn.Sequential(
            ConvNorm(width, width, 3, groups=width, act=nn.ReLU), ConvNorm(width, width)
        )
        self.reduce = ConvNorm(width, width, 3, stride=2, groups=width, act=nn.ReLU)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return [N, width, H / 4, W / 4] of `x`, [N, 3, H, W]."""
        x = self.conv(x)
        return self.reduce(x + self.mix(x))


class LightNet(nn.Module):
    """The architecture that any light block is put on: logits [N, num_classes] of [N, 3, H, W].

    Parameters
    ----------
    block
        Makes a block of so many channels, which keeps their shape.
    depths
        Blocks of each stage.
    width
        Channels of the stem (ours) and of the first stage; each following stage doubles them.
    head
        Channels of the head's 1x1 convolution (ours).
    num_classes
        Length of the logits.
    """

    def __init__(
        self,
        *,
        block: Callable[[int], nn.Module],
        depths: Sequence[int] = (3, 3, 9, 3),
        width: int = 32,
        head: int = 1024,
        num_classes: int = 1000,
    ) -> None:
        super().__init__()
        self.stem = Stem(width)
        self.stages = nn.Sequential()
        for index, depth in enumerate(depths):
            if index:
                self.stages.append(_subsampling(width))
                width *= 2
            self.stages.append(nn.Sequential(*(block(width) for _ in range(depth))))
        self.backbone_layout = Layout(taps=tuple(range(0, len(self.stages), 2)))
        self.mix = ConvNorm(width, head, act=nn.ReLU)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(head, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits of images `x`."""
        return self.head(self.pool(self.mix(self.stages(self.stem(x)))).flatten(1))


def _subsampling(channels: int) -> PatchMerging:
    conv = nn.Conv2d(channels, 2 * channels, 2, stride=2, groups=channels, bias=False)
    return PatchMerging(conv, nn.BatchNorm2d(2 * channels))


class FalconNet(LightNet):
    """LightNet of Meta Light Blocks, with RepSO between two RefCO.

    Parameters
    ----------
    s1, s2, s3
        Spatial operators of the block, see `MetaBasicBlock`: ``identity``, ``dwconv``, ``pconv`` or
        ``rep_so``. The paper finds that s1 and s3 do not help.
    channel
        Its channel operators: ``ref_co``, or ``dense`` 1x1 convolutions.
    expansion
        Of the block (ours).
    parallel
        3x3 branches of a RepSO.
    branches, reduction, form
        Of a RefCO.
    sizes
        Of `LightNet`: depths, width, head, num_classes.
    """

    def __init__(
        self,
        *,
        s1: Spatial = "identity",
        s2: Spatial = "rep_so",
        s3: Spatial = "identity",
        channel: Channel = "ref_co",
        expansion: float = 4.0,
        parallel: int = 3,
        branches: tuple[int, int] = (3, 3),
        reduction: int = 2,
        form: RefCOForm = "factors",
        **sizes: Any,
    ) -> None:
        spatial: dict[str, SpatialOperator] = {
            "identity": nn.Identity,
            "dwconv": depthwise,
            "pconv": PConv,
            "rep_so": partial(RepSO, parallel=parallel),
        }
        channels: dict[str, ChannelOperator] = {
            "dense": ConvNorm,
            "ref_co": partial(RefCO, branches=branches, reduction=reduction, form=form),
        }
        block = partial(
            MetaBasicBlock,
            s1=_chosen("s1", s1, spatial),
            s2=_chosen("s2", s2, spatial),
            s3=_chosen("s3", s3, spatial),
            expansion=expansion,
            channel=_chosen("channel", channel, channels),
        )
        super().__init__(block=block, **sizes)


def _chosen(option: str, name: str, makers: dict[str, Operator]) -> Operator:
    if name not in makers:
        raise ValueError(f"{option} is one of {', '.join(makers)}, not {name!r}")
    return makers[name]


def _lightnet(overrides: dict[str, Any], block: Callable[[int], nn.Module]) -> LightNet:
    return LightNet(**({"block": block} | overrides))


@register_model
def falconnet(**overrides: Any) -> FalconNet:
    """FalconNet, of our sizes."""
    return FalconNet(**overrides)


@register_model
def falconnet_dense(**overrides: Any) -> FalconNet:
    """FalconNet that deploys each RefCO as the exactly equal dense 1x1 convolution."""
    return falconnet(**({"form": "dense"} | overrides))


@register_model
def lightnet_meta_light(**overrides: Any) -> FalconNet:
    """LightNet of Meta Light Blocks: a depthwise convolution between dense 1x1 ones."""
    return falconnet(**({"s2": "dwconv", "channel": "dense"} | overrides))


@register_model
def lightnet_irb(**overrides: Any) -> LightNet:
    """LightNet of MobileNetV2's inverted residual blocks."""
    return _lightnet(overrides, inverted_residual)


@register_model
def lightnet_sandglass(**overrides: Any) -> LightNet:
    """LightNet of MobileNeXt's sandglass blocks."""
    return _lightnet(overrides, sandglass)


@register_model
def lightnet_fasternet(**overrides: Any) -> LightNet:
    """LightNet of FasterNet's blocks."""
    return _lightnet(overrides, fasternet_block)
