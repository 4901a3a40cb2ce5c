"""HetConv: Singh et al., "HetConv: Heterogeneous Kernel-Based Convolutions for Deep CNNs".

CVPR 2019, arXiv:1903.04120. The VGG-16 is that of
https://github.com/irvinxav/Efficient-HetConv-Heterogeneous-Kernel-Based-Convolutions, which repeats
the paper's experiments on CIFAR-10; where the text says "ours", no source that we could read says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol

import torch
from torch import nn

from lightmobile.models.layers.conv_norm import ConvNorm
from lightmobile.models.layers.hetconv import Arrangement, HetConv, HetConvForm, HetConvNorm
from lightmobile.models.layers.initialization import initialize_residual
from lightmobile.models.layers.squeeze_excite import SqueezeExcite
from lightmobile.models.registry import register_model

__all__ = ["VGG16", "MobileNetV1", "ResNet"]

Operator = Literal["het", "gwc_pwc"]
Part = int | Literal["pc"]

_SE_REDUCTION = 8


class MakeConv(Protocol):
    """Makes the 3x3 convolution of a network, or what stands for it, with norm and activation."""

    def __call__(
        self, channels: int, width: int, stride: int = 1, act: type[nn.Module] | None = nn.ReLU
    ) -> nn.Module:
        """Return a module from `channels` to `width` channels."""
        ...


def _maker(operator: Operator, p: Part, arrangement: Arrangement, form: HetConvForm) -> MakeConv:
    """Return what makes the convolutions of a network.

    Parameters
    ----------
    operator
        ``het``: HetConv; a standard convolution where `p` is 1. ``gwc_pwc``: a group-wise
        convolution of `p` groups, then a pointwise one; each has norm and activation (ours, as in
        MobileNet).
    p
        The part or the number of groups; ``pc`` means the number of input channels, which makes
        the group-wise convolution depthwise.
    arrangement, form
        Of a HetConv.
    """
    if operator not in ("het", "gwc_pwc"):
        raise ValueError(f"operator is het or gwc_pwc, not {operator!r}")

    def make(
        channels: int, width: int, stride: int = 1, act: type[nn.Module] | None = nn.ReLU
    ) -> nn.Module:
        part = channels if p == "pc" else p
        if operator == "gwc_pwc":
            return nn.Sequential(
                ConvNorm(channels, channels, 3, stride=stride, groups=part, act=nn.ReLU),
                ConvNorm(channels, width, act=act),
            )
        if part == 1:
            return ConvNorm(channels, width, 3, stride=stride, act=act)
        conv = HetConv(channels, width, part, stride=stride, arrangement=arrangement, form=form)
        return HetConvNorm(conv, act)

    return make


class VGG16(nn.Module):
    """VGG-16 for CIFAR-10: logits [N, num_classes] of images [N, 3, H, W].

    The first convolution is a standard one, the other twelve are what `operator` says.

    Parameters
    ----------
    widths
        Channels of each convolution; a max pool follows where the text has ``"pool"``.
    se
        Squeeze-and-excitation, reduced by 8, after each of the twelve (the place is ours).
    num_classes
        Length of the logits.
    operator, p, arrangement, form
        See `_maker`.
    """

    def __init__(
        self,
        *,
        p: Part,
        operator: Operator = "het",
        se: bool = False,
        widths: Sequence[Sequence[int]] = (
            (64, 64),
            (128, 128),
            (256, 256, 256),
            (512, 512, 512),
            (512, 512, 512),
        ),
        num_classes: int = 10,
        arrangement: Arrangement = "grouped",
        form: HetConvForm = "grouped",
    ) -> None:
        super().__init__()
        make = _maker(operator, p, arrangement, form)
        channels = widths[0][0]
        stem = ConvNorm(3, channels, 3, act=nn.ReLU)
        stem.conv.bias = nn.Parameter(torch.empty(channels))  # Superfluous, and in the source.
        self.features = nn.Sequential(stem)
        for index, stage in enumerate(widths):
            for width in stage[1:] if index == 0 else stage:
                self.features.append(make(channels, width))
                if se:
                    self.features.append(SqueezeExcite(width, width // _SE_REDUCTION))
                channels = width
            self.features.append(nn.MaxPool2d(2))
        # Global pooling does nothing at 32x32, and lets other sizes in.
        self.features.append(nn.AdaptiveAvgPool2d(1))
        self.hidden = ConvNorm(channels, channels, act=nn.ReLU)
        self.hidden.conv.bias = nn.Parameter(torch.empty(channels))
        self.head = nn.Linear(channels, num_classes)
        self.apply(_initialize)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits of images `x`."""
        return self.head(self.hidden(self.features(x)).flatten(1))


class ResidualBlock(nn.Module):
    """``relu(shortcut(x) + branch(x))`` (He et al., CVPR 2016, arXiv:1512.03385).

    Where the shape changes, the shortcut is a 1x1 convolution and its norm, on CIFAR-10 too (ours).

    Parameters
    ----------
    channels, width
        Of [N, channels, H, W] and [N, width, ceil(H / stride), ceil(W / stride)].
    branch
        From one to the other.
    stride
        Of the shortcut.
    se
        Squeeze-and-excitation, reduced by 8, at the end of the branch.
    """

    def __init__(
        self, channels: int, width: int, branch: nn.Sequential, stride: int, se: bool
    ) -> None:
        super().__init__()
        self.branch = branch
        if se:
            branch.append(SqueezeExcite(width, width // _SE_REDUCTION))
        same = stride == 1 and channels == width
        self.shortcut = nn.Identity() if same else ConvNorm(channels, width, stride=stride)
        self.act = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the features of `x`."""
        return self.act(self.shortcut(x) + self.branch(x))


class ResNet(nn.Module):
    """ResNet with its 3x3 convolutions, the stem apart, replaced: logits [N, num_classes].

    Parameters
    ----------
    depths
        Blocks of each stage.
    width
        Channels of the stem; each stage after the first doubles them.
    bottleneck
        Blocks of 1x1, 3x3 and 1x1 to four times the width, with the stride in the 3x3; else of
        two 3x3.
    small
        For images of 32x32: the stem is 3x3 and keeps the resolution; else it is 7x7, and a max
        pool follows.
    num_classes
        Length of the logits.
    se
        See `ResidualBlock`.
    operator, p, arrangement, form
        See `_maker`.
    """

    def __init__(
        self,
        *,
        p: Part,
        depths: Sequence[int],
        width: int = 64,
        bottleneck: bool = False,
        small: bool = False,
        num_classes: int = 1000,
        se: bool = False,
        operator: Operator = "het",
        arrangement: Arrangement = "grouped",
        form: HetConvForm = "grouped",
    ) -> None:
        super().__init__()
        make = _maker(operator, p, arrangement, form)
        if small:
            self.stem = nn.Sequential(ConvNorm(3, width, 3, act=nn.ReLU))
        else:
            stem = ConvNorm(3, width, 7, stride=2, act=nn.ReLU)
            self.stem = nn.Sequential(stem, nn.MaxPool2d(3, stride=2, padding=1))
        self.stages = nn.Sequential()
        channels = width
        for index, depth in enumerate(depths):
            inner = width * 2**index
            out = 4 * inner if bottleneck else inner
            stage = nn.Sequential()
            for block in range(depth):
                stride = 2 if index and not block else 1
                branch = (_deep if bottleneck else _basic)(channels, inner, stride, make)
                stage.append(ResidualBlock(channels, out, branch, stride, se))
                channels = out
            self.stages.append(stage)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(channels, num_classes)
        self.apply(_initialize)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits of images `x`, [N, 3, H, W]."""
        return self.head(self.pool(self.stages(self.stem(x))).flatten(1))


def _basic(channels: int, width: int, stride: int, make: MakeConv) -> nn.Sequential:
    return nn.Sequential(make(channels, width, stride), make(width, width, act=None))


def _deep(channels: int, width: int, stride: int, make: MakeConv) -> nn.Sequential:
    return nn.Sequential(
        ConvNorm(channels, width, act=nn.ReLU),
        make(width, width, stride),
        ConvNorm(width, 4 * width),
    )


class MobileNetV1(nn.Module):
    """MobileNet (Howard et al., arXiv:1704.04861), each depthwise and pointwise pair replaced.

    With ``operator="gwc_pwc", p="pc"`` it is the plain MobileNet.

    Parameters
    ----------
    layers
        Channels and stride of each pair.
    width
        Channels of the stem.
    num_classes
        Length of the logits.
    operator, p, arrangement, form
        See `_maker`.
    """

    def __init__(
        self,
        *,
        p: Part,
        operator: Operator = "het",
        width: int = 32,
        layers: Sequence[tuple[int, int]] = (
            (64, 1),
            *((128, 2), (128, 1)),
            *((256, 2), (256, 1)),
            *((512, 2), *((512, 1),) * 5),
            *((1024, 2), (1024, 1)),
        ),
        num_classes: int = 1000,
        arrangement: Arrangement = "grouped",
        form: HetConvForm = "grouped",
    ) -> None:
        super().__init__()
        make = _maker(operator, p, arrangement, form)
        self.features = nn.Sequential(ConvNorm(3, width, 3, stride=2, act=nn.ReLU))
        for out, stride in layers:
            self.features.append(make(width, out, stride))
            width = out
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(width, num_classes)
        self.apply(_initialize)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits of images `x`, [N, 3, H, W]."""
        return self.head(self.pool(self.features(x)).flatten(1))


def _initialize(module: nn.Module) -> None:
    initialize_residual(module)
    if isinstance(module, nn.Conv2d) and module.bias is not None:
        nn.init.zeros_(module.bias)


def _vgg16(overrides: dict[str, Any], **variant: Any) -> VGG16:
    return VGG16(**(variant | overrides))


def _resnet(overrides: dict[str, Any], **variant: Any) -> ResNet:
    return ResNet(**(variant | overrides))


def _cifar_resnet56(overrides: dict[str, Any], **variant: Any) -> ResNet:
    return _resnet(variant | overrides, depths=(9, 9, 9), width=16, small=True, num_classes=10)


@register_model
def hetconv_vgg16_p1(**overrides: Any) -> nn.Module:
    """VGG-16 for CIFAR-10 with standard convolutions."""
    return _vgg16(overrides, p=1)


@register_model
def hetconv_vgg16_p2(**overrides: Any) -> nn.Module:
    """VGG-16 for CIFAR-10, P = 2."""
    return _vgg16(overrides, p=2)


@register_model
def hetconv_vgg16_p4(**overrides: Any) -> nn.Module:
    """VGG-16 for CIFAR-10, P = 4."""
    return _vgg16(overrides, p=4)


@register_model
def hetconv_vgg16_p8(**overrides: Any) -> nn.Module:
    """VGG-16 for CIFAR-10, P = 8."""
    return _vgg16(overrides, p=8)


@register_model
def hetconv_vgg16_p16(**overrides: Any) -> nn.Module:
    """VGG-16 for CIFAR-10, P = 16."""
    return _vgg16(overrides, p=16)


@register_model
def hetconv_vgg16_p32(**overrides: Any) -> nn.Module:
    """VGG-16 for CIFAR-10, P = 32."""
    return _vgg16(overrides, p=32)


@register_model
def hetconv_vgg16_p64(**overrides: Any) -> nn.Module:
    """VGG-16 for CIFAR-10, P = 64."""
    return _vgg16(overrides, p=64)


@register_model
def hetconv_vgg16_pc(**overrides: Any) -> nn.Module:
    """VGG-16 for CIFAR-10, P = the number of input channels."""
    return _vgg16(overrides, p="pc")


@register_model
def hetconv_vgg16_p4_se(**overrides: Any) -> nn.Module:
    """VGG-16 for CIFAR-10, P = 4, with squeeze-and-excitation."""
    return _vgg16(overrides, p=4, se=True)


@register_model
def vgg16_gwc4_pwc(**overrides: Any) -> nn.Module:
    """VGG-16 for CIFAR-10 of a rival, group-wise (4 groups) and pointwise convolutions."""
    return _vgg16(overrides, p=4, operator="gwc_pwc")


@register_model
def vgg16_dwc_pwc(**overrides: Any) -> nn.Module:
    """VGG-16 for CIFAR-10 of a rival, depthwise and pointwise convolutions."""
    return _vgg16(overrides, p="pc", operator="gwc_pwc")


@register_model
def hetconv_resnet34_p1(**overrides: Any) -> nn.Module:
    """ResNet-34 with standard convolutions."""
    return _resnet(overrides, p=1, depths=(3, 4, 6, 3))


@register_model
def hetconv_resnet34_p4(**overrides: Any) -> nn.Module:
    """ResNet-34, P = 4."""
    return _resnet(overrides, p=4, depths=(3, 4, 6, 3))


@register_model
def hetconv_resnet50_p1(**overrides: Any) -> nn.Module:
    """ResNet-50 with standard convolutions."""
    return _resnet(overrides, p=1, depths=(3, 4, 6, 3), bottleneck=True)


@register_model
def hetconv_resnet50_p4(**overrides: Any) -> nn.Module:
    """ResNet-50, P = 4."""
    return _resnet(overrides, p=4, depths=(3, 4, 6, 3), bottleneck=True)


@register_model
def hetconv_resnet56_p1(**overrides: Any) -> nn.Module:
    """ResNet-56 for CIFAR-10 with standard convolutions."""
    return _cifar_resnet56(overrides, p=1)


@register_model
def hetconv_resnet56_p4(**overrides: Any) -> nn.Module:
    """ResNet-56 for CIFAR-10, P = 4."""
    return _cifar_resnet56(overrides, p=4)


@register_model
def hetconv_resnet56_p4_se(**overrides: Any) -> nn.Module:
    """ResNet-56 for CIFAR-10, P = 4, with squeeze-and-excitation."""
    return _cifar_resnet56(overrides, p=4, se=True)


@register_model
def hetconv_mobilenet_v1_p32(**overrides: Any) -> nn.Module:
    """MobileNetV1, each depthwise and pointwise pair one HetConv of P = 32 (ours)."""
    return MobileNetV1(**({"p": 32} | overrides))
