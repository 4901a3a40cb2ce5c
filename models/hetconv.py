"""HetConv: Singh et al., "HetConv: Heterogeneous Kernel-Based Convolutions for Deep CNNs".

CVPR 2019, arXiv:1903.04120. These are known networks whose 3x3 convolutions are replaced by
HetConvs or by their rivals; see `lightmobile.models.layers.conv3x3` for the options that choose
among them, and the networks' own classes for the others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from lightmobile.models.layers.conv3x3 import Operator, Part, conv_maker
from lightmobile.models.layers.hetconv import Arrangement, HetConvForm
from lightmobile.models.mobilenet_v1 import MobileNetV1
from lightmobile.models.registry import register_model
from lightmobile.models.resnet import ResNet
from lightmobile.models.vgg import VGG16

__all__ = ["hetconv_network"]


def hetconv_network(
    network: Callable[..., nn.Module],
    *,
    p: Part,
    operator: Operator = "het",
    arrangement: Arrangement = "grouped",
    form: HetConvForm = "grouped",
    **sizes: Any,
) -> nn.Module:
    """Return a `VGG16`, `ResNet` or `MobileNetV1` of such convolutions.

    Parameters
    ----------
    network
        The class.
    p, operator, arrangement, form
        See `conv_maker`.
    sizes
        The other options of the class.
    """
    return network(conv_maker(p, operator, arrangement, form), **sizes)


def _build(
    network: Callable[..., nn.Module], overrides: dict[str, Any], **variant: Any
) -> nn.Module:
    return hetconv_network(network, **(variant | overrides))


def _cifar_resnet56(overrides: dict[str, Any], **variant: Any) -> nn.Module:
    sizes: dict[str, Any] = {"depths": (9, 9, 9), "width": 16, "small": True, "num_classes": 10}
    return _build(ResNet, overrides, **sizes, **variant)


@register_model
def hetconv_vgg16_p1(**overrides: Any) -> nn.Module:
    """VGG-16 for CIFAR-10 with standard convolutions."""
    return _build(VGG16, overrides, p=1)


@register_model
def hetconv_vgg16_p2(**overrides: Any) -> nn.Module:
    """VGG-16 for CIFAR-10, P = 2."""
    return _build(VGG16, overrides, p=2)


@register_model
def hetconv_vgg16_p4(**overrides: Any) -> nn.Module:
    """VGG-16 for CIFAR-10, P = 4."""
    return _build(VGG16, overrides, p=4)


@register_model
def hetconv_vgg16_p8(**overrides: Any) -> nn.Module:
    """VGG-16 for CIFAR-10, P = 8."""
    return _build(VGG16, overrides, p=8)


@register_model
def hetconv_vgg16_p16(**overrides: Any) -> nn.Module:
    """VGG-16 for CIFAR-10, P = 16."""
    return _build(VGG16, overrides, p=16)


@register_model
def hetconv_vgg16_p32(**overrides: Any) -> nn.Module:
    """VGG-16 for CIFAR-10, P = 32."""
    return _build(VGG16, overrides, p=32)


@register_model
def hetconv_vgg16_p64(**overrides: Any) -> nn.Module:
    """VGG-16 for CIFAR-10, P = 64."""
    return _build(VGG16, overrides, p=64)


@register_model
def hetconv_vgg16_pc(**overrides: Any) -> nn.Module:
    """VGG-16 for CIFAR-10, P = the number of input channels."""
    return _build(VGG16, overrides, p="pc")


@register_model
def hetconv_vgg16_p4_se(**overrides: Any) -> nn.Module:
    """VGG-16 for CIFAR-10, P = 4, with squeeze-and-excitation."""
    return _build(VGG16, overrides, p=4, se=True)


@register_model
def vgg16_gwc4_pwc(**overrides: Any) -> nn.Module:
    """VGG-16 for CIFAR-10 of a rival, group-wise (4 groups) and pointwise convolutions."""
    return _build(VGG16, overrides, p=4, operator="gwc_pwc")


@register_model
def vgg16_dwc_pwc(**overrides: Any) -> nn.Module:
    """VGG-16 for CIFAR-10 of a rival, depthwise and pointwise convolutions."""
    return _build(VGG16, overrides, p="pc", operator="gwc_pwc")


@register_model
def hetconv_resnet34_p1(**overrides: Any) -> nn.Module:
    """ResNet-34 with standard convolutions."""
    return _build(ResNet, overrides, p=1, depths=(3, 4, 6, 3))


@register_model
def hetconv_resnet34_p4(**overrides: Any) -> nn.Module:
    """ResNet-34, P = 4."""
    return _build(ResNet, overrides, p=4, depths=(3, 4, 6, 3))


@register_model
def hetconv_resnet50_p1(**overrides: Any) -> nn.Module:
    """ResNet-50 with standard convolutions."""
    return _build(ResNet, overrides, p=1, depths=(3, 4, 6, 3), bottleneck=True)


@register_model
def hetconv_resnet50_p4(**overrides: Any) -> nn.Module:
    """ResNet-50, P = 4."""
    return _build(ResNet, overrides, p=4, depths=(3, 4, 6, 3), bottleneck=True)


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
    return _build(MobileNetV1, overrides, p=32)
