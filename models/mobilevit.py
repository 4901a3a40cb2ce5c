"""MobileViT: Mehta and Rastegari, "MobileViT: Light-weight, General-purpose, and Mobile-friendly".

ICLR 2022, arXiv:2110.02178; the title goes on "Vision Transformer". The authors' code:
https://github.com/apple/ml-cvnets. Modules are named as in timm.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import nn

from lightmobile.models.backbone import Layout
from lightmobile.models.key_map import KeyMap
from lightmobile.models.layers.conv_norm import ConvNorm
from lightmobile.models.layers.initialization import initialize_residual
from lightmobile.models.registry import register_model

__all__ = ["MobileViT"]

_HEADS = 4
_PATCH = 2


class InvertedResidual(nn.Module):
    """1x1 expansion, depthwise 3x3, 1x1 projection.

    Parameters
    ----------
    in_channels, out_channels
        Of [N, in, H, W] and [N, out, ceil(H / stride), ceil(W / stride)]; a shortcut is around the
        block where the two agree.
    expansion
        Width of the depthwise convolution, in multiples of `in_channels`.
    stride
        Of the depthwise convolution.
    """

    def __init__(self, in_channels: int, out_channels: int, *, expansion: int, stride: int) -> None:
        super().__init__()
        hidden = in_channels * expansion
        self.conv1_1x1 = ConvNorm(in_channels, hidden, act=nn.SiLU)
        self.conv2_kxk = ConvNorm(hidden, hidden, 3, stride=stride, groups=hidden, act=nn.SiLU)
        self.conv3_1x1 = ConvNorm(hidden, out_channels)
        self.shortcut = stride == 1 and in_channels == out_channels
        self.untrained_deviations = {"conv3_1x1.conv": 0.5} if self.shortcut else {}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return [N, out, H', W'] of `x`, [N, in, H, W]."""
        y = self.conv3_1x1(self.conv2_kxk(self.conv1_1x1(x)))
        return x + y if self.shortcut else y


class Attention(nn.Module):
    """Multi-head self-attention over sequences [S, L, C].

    Written out, and query, key and value taken by slices: several outputs, as `torch.split` has
    them, would cut XNNPACK's graph.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        if channels % _HEADS:
            raise ValueError(f"{_HEADS} heads do not divide {channels} channels")
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return [S, L, C] of `x`, [S, L, C]."""
        count, length, channels = x.shape
        qkv = self.qkv(x)
        query, key, value = (
            qkv[..., start : start + channels].reshape(count, length, _HEADS, -1).transpose(1, 2)
            for start in range(0, 3 * channels, channels)
        )
        scores = (query * query.shape[-1] ** -0.5) @ key.mT
        mixed = torch.softmax(scores, -1) @ value
        return self.proj(mixed.transpose(1, 2).reshape(x.shape))


class Mlp(nn.Module):
    """Two linear layers and SiLU between them, over sequences [S, L, C]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, 2 * channels)
        self.act = nn.SiLU()
        self.fc2 = nn.Linear(2 * channels, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return [S, L, C] of `x`, [S, L, C]."""
        return self.fc2(self.act(self.fc1(x)))


class TransformerBlock(nn.Module):
    """Attention, then an MLP, each normalised before and added after, over sequences [S, L, C]."""

    # A softmax and SiLU of little contrast, and branches weaker than what they add to; see
    # `untrained`.
    untrained_deviations: ClassVar[dict[str, float]] = {
        "attn.qkv": 0.5,
        "attn.proj": 0.5,
        "mlp.fc1": 3.0,
        "mlp.fc2": 0.5,
    }

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.attn = Attention(channels)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = Mlp(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return [S, L, C] of `x`, [S, L, C]."""
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class MobileViTBlock(nn.Module):
    """Convolutions for what is near, a transformer for what is far, and both fused.

    Parameters
    ----------
    channels
        Of the input and of the output, [N, C, H, W]; H and W are even.
    dim
        Channels within the transformer.
    depth
        Of the transformer.
    """

    def __init__(self, channels: int, *, dim: int, depth: int) -> None:
        super().__init__()
        self.conv_kxk = ConvNorm(channels, channels, 3, act=nn.SiLU)
        self.conv_1x1 = nn.Conv2d(channels, dim, 1, bias=False)
        self.transformer = nn.Sequential(*(TransformerBlock(dim) for _ in range(depth)))
        self.norm = nn.LayerNorm(dim)
        self.conv_proj = ConvNorm(dim, channels, act=nn.SiLU)
        self.conv_fusion = ConvNorm(2 * channels, channels, 3, act=nn.SiLU)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return [N, C, H, W] of `x`, [N, C, H, W]."""
        y = self.conv_1x1(self.conv_kxk(x))
        y = _fold(self.norm(self.transformer(_unfold(y))), y.shape)
        return self.conv_fusion(torch.cat((x, self.conv_proj(y)), 1))


def _unfold(x: torch.Tensor) -> torch.Tensor:
    """Return features [N, C, H, W] as sequences [N * 4, H * W / 4, C].

    A sequence holds the pixels of one place within their patches of 2x2. No step has more than four
    axes: the runtimes' transposes are written for that many.
    """
    count, channels, height, width = x.shape
    if height % _PATCH or width % _PATCH:
        raise RuntimeError(
            f"features of {height}x{width} are no whole patches of {_PATCH}x{_PATCH}: "
            "height and width of images are multiples of 64"
        )
    patches = height * width // _PATCH**2
    x = x.reshape(-1, _PATCH, width // _PATCH, _PATCH).transpose(1, 2)
    x = x.reshape(count, channels, patches, _PATCH**2).transpose(1, 3)
    return x.reshape(count * _PATCH**2, patches, channels)


def _fold(x: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """Return what `_unfold` made of features of `shape` in its old form."""
    count, channels, _, width = shape
    x = x.reshape(count, _PATCH**2, -1, channels).transpose(1, 3)
    x = x.reshape(-1, width // _PATCH, _PATCH, _PATCH).transpose(1, 2)
    return x.reshape(shape)


class MobileViT(nn.Module):
    """The MobileViT classifier: logits [N, num_classes] of images [N, 3, H, W].

    Parameters
    ----------
    widths
        Channels of the five stages.
    dims
        Channels within the transformers of the last three.
    depths
        Inverted residuals of the second stage, then the depths of the transformers.
    expansion
        Of the inverted residuals.
    stem_width
        Channels before the first stage.
    head_width
        Channels after the last.
    num_classes
        Length of the logits.
    """

    key_maps: ClassVar[dict[str, KeyMap]] = {"timm": KeyMap({"fc.": "head.fc."})}

    def __init__(
        self,
        *,
        widths: Sequence[int],
        dims: Sequence[int],
        head_width: int,
        depths: Sequence[int] = (3, 2, 4, 3),
        expansion: int = 4,
        stem_width: int = 16,
        num_classes: int = 1000,
    ) -> None:
        super().__init__()
        first, second, *others = widths
        residuals, *transformers = depths
        self.stem = ConvNorm(3, stem_width, 3, stride=2, act=nn.SiLU)
        self.stages = nn.Sequential(
            nn.Sequential(InvertedResidual(stem_width, first, expansion=expansion, stride=1)),
            nn.Sequential(
                *(
                    InvertedResidual(
                        second if index else first,
                        second,
                        expansion=expansion,
                        stride=1 if index else 2,
                    )
                    for index in range(residuals)
                )
            ),
        )
        channels = second
        for width, dim, depth in zip(others, dims, transformers, strict=True):
            halve = InvertedResidual(channels, width, expansion=expansion, stride=2)
            self.stages.append(nn.Sequential(halve, MobileViTBlock(width, dim=dim, depth=depth)))
            channels = width
        self.backbone_layout = Layout(taps=(1, 2, 3, 4))
        self.final_conv = ConvNorm(channels, head_width, act=nn.SiLU)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(head_width, num_classes)
        self.apply(initialize_residual)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits of images `x`; H and W are multiples of 64."""
        x = self.final_conv(self.stages(self.stem(x)))
        return self.fc(self.pool(x).flatten(1))


def _mobilevit(overrides: dict[str, Any], **variant: Any) -> MobileViT:
    return MobileViT(**(variant | overrides))


@register_model
def mobilevit_xxs(**overrides: Any) -> MobileViT:
    """MobileViT-XXS: 1.3 M parameters, 0.42 GMACs."""
    return _mobilevit(
        overrides,
        widths=(16, 24, 48, 64, 80),
        dims=(64, 80, 96),
        head_width=320,
        expansion=2,
    )


@register_model
def mobilevit_xs(**overrides: Any) -> MobileViT:
    """MobileViT-XS: 2.3 M parameters, 1.05 GMACs."""
    return _mobilevit(overrides, widths=(32, 48, 64, 80, 96), dims=(96, 120, 144), head_width=384)


@register_model
def mobilevit_s(**overrides: Any) -> MobileViT:
    """MobileViT-S: 5.6 M parameters, 2.03 GMACs."""
    return _mobilevit(
        overrides, widths=(32, 64, 96, 128, 160), dims=(144, 192, 240), head_width=640
    )
