"""ShuffleNetV2: Ma et al., "Practical Guidelines for Efficient CNN Architecture Design".

ECCV 2018, arXiv:1807.11164. Channels have torchvision's order, whose checkpoints load.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Literal, cast, get_args

import torch
from torch import nn

from lightmobile.models.backbone import Layout
from lightmobile.models.fusion import fuse
from lightmobile.models.key_map import KeyMap
from lightmobile.models.layers.conv_norm import ConvNorm
from lightmobile.models.layers.form import with_form
from lightmobile.models.layers.initialization import initialize_residual
from lightmobile.models.layers.shuffle import interleave
from lightmobile.models.layers.unshuffled import UnshuffledStage, reorder_inputs
from lightmobile.models.registry import register_model

__all__ = ["ShuffleForm", "ShuffleNetV2"]

ShuffleForm = Literal["folded", "interleaved"]


class ShuffleUnit(nn.Module):
    """Half of the channels pass, the other half is convolved, and both are shuffled.

    Parameters
    ----------
    channels
        Of the input and of the output, [N, C, H, W].
    """

    # Little beside what passes by; see `untrained`.
    untrained_deviations: ClassVar[dict[str, float]] = {"branch.2.conv": 0.1}

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.passing = half = channels // 2
        self.branch = nn.Sequential(
            ConvNorm(half, half, act=nn.ReLU),
            ConvNorm(half, half, 3, groups=half),
            ConvNorm(half, half, act=nn.ReLU),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the features of `x`; the shape stays."""
        # Two slices: torch.chunk would cut XNNPACK's graph at every unit.
        return interleave(x[:, : self.passing], self.branch(x[:, self.passing :]))


class DownUnit(nn.Module):
    """Both halves are made of all channels, at half the resolution.

    Parameters
    ----------
    in_channels, out_channels
        Of [N, in, H, W] and [N, out, ceil(H / 2), ceil(W / 2)].
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        half = out_channels // 2
        self.shortcut = nn.Sequential(
            ConvNorm(in_channels, in_channels, 3, stride=2, groups=in_channels),
            ConvNorm(in_channels, half, act=nn.ReLU),
        )
        self.branch = nn.Sequential(
            ConvNorm(in_channels, half, act=nn.ReLU),
            ConvNorm(half, half, 3, stride=2, groups=half),
            ConvNorm(half, half, act=nn.ReLU),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return [N, out, H', W'] of `x`, [N, in, H, W]."""
        return interleave(self.shortcut(x), self.branch(x))


class ShuffleNetV2(nn.Module):
    """The ShuffleNetV2 classifier: logits [N, num_classes] of images [N, 3, H, W].

    Parameters
    ----------
    depths, widths
        Units and channels of each of the three stages; the channels are even.
    stem_width, head_width
        Channels before the first and after the last stage.
    num_classes
        Length of the logits.
    form
        What becomes of the shuffles in the deployed form. ``interleaved``: they stay. ``folded``:
        into the order of weights, see `UnshuffledStage`; a backbone keeps them all the same, for
        its outputs' order is for others to read.
    """

    def __init__(
        self,
        *,
        depths: Sequence[int] = (4, 8, 4),
        widths: Sequence[int],
        stem_width: int = 24,
        head_width: int = 1024,
        num_classes: int = 1000,
        form: ShuffleForm = "folded",
    ) -> None:
        super().__init__()
        if form not in get_args(ShuffleForm):
            raise ValueError(f"form is folded or interleaved, not {form!r}")
        if any(width % 2 for width in widths):
            raise ValueError(f"the channels {tuple(widths)} cannot all be halved")
        self.depths = tuple(depths)
        self.form = form
        self.stem = ConvNorm(3, stem_width, 3, stride=2, act=nn.ReLU)
        self.stages = nn.Sequential(nn.MaxPool2d(3, stride=2, padding=1))
        channels = stem_width
        for depth, width in zip(depths, widths, strict=True):
            units = (ShuffleUnit(width) for _ in range(depth - 1))
            self.stages.append(nn.Sequential(DownUnit(channels, width), *units))
            channels = width
        self.backbone_layout = Layout(taps=tuple(range(len(self.stages))))
        self.head = ConvNorm(channels, head_width, act=nn.ReLU)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(head_width, num_classes)
        self.apply(initialize_residual)

    @property
    def key_maps(self) -> dict[str, KeyMap]:
        """Torchvision's names."""
        prefixes = {
            "stem.conv.": "conv1.0.",
            "stem.bn.": "conv1.1.",
            "head.conv.": "conv5.0.",
            "head.bn.": "conv5.1.",
        }
        for stage, depth in enumerate(self.depths, 1):
            for unit in range(depth):
                ours, theirs = f"stages.{stage}.{unit}.", f"stage{stage + 1}.{unit}."
                prefixes |= {ours + key: theirs + name for key, name in _TORCHVISION_UNIT.items()}
        return {"torchvision": KeyMap(prefixes)}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits of images `x`."""
        return self.fc(self.pool(self.head(self.stages(self.stem(x)))).flatten(1))

    def fused(self) -> nn.Sequential:
        """Return the deployed form; its parts keep their names."""
        parts = OrderedDict((name, fuse(part)) for name, part in self.named_children())
        if self.form == "folded":
            parts["stages"] = _unshuffled(
                parts["stages"], parts["head"], range(self.stem.conv.out_channels)
            )
        parts["pool"] = nn.Sequential(parts["pool"], nn.Flatten())
        return with_form(nn.Sequential(parts), "shuffle", self.form)


def _unshuffled(stages: nn.Module, head: nn.Module, order: Sequence[int]) -> nn.Sequential:
    """Return the deployed stages without shuffles, and put the weights of the head in order."""
    pool, *shuffled = cast("Iterable[nn.Sequential]", stages)
    unshuffled = nn.Sequential(pool)
    for units in shuffled:
        names = ("0.shortcut", *(f"{unit}.branch" for unit in range(len(units))))
        branches = [units.get_submodule(name) for name in names]
        stage = UnshuffledStage(branches, order)
        unshuffled.append(stage)
        order = stage.order
    reorder_inputs(head, order)
    return unshuffled


_TORCHVISION_UNIT = {
    "shortcut.0.conv.": "branch1.0.",
    "shortcut.0.bn.": "branch1.1.",
    "shortcut.1.conv.": "branch1.2.",
    "shortcut.1.bn.": "branch1.3.",
    "branch.0.conv.": "branch2.0.",
    "branch.0.bn.": "branch2.1.",
    "branch.1.conv.": "branch2.3.",
    "branch.1.bn.": "branch2.4.",
    "branch.2.conv.": "branch2.5.",
    "branch.2.bn.": "branch2.6.",
}


@register_model
def shufflenet_v2_x1_5(**overrides: Any) -> ShuffleNetV2:
    """ShuffleNetV2 x1.5: 3.5 M parameters, 0.30 GMACs."""
    variant: dict[str, Any] = {"widths": (176, 352, 704)}
    return ShuffleNetV2(**(variant | overrides))


@register_model
def shufflenet_v2_x2(**overrides: Any) -> ShuffleNetV2:
    """ShuffleNetV2 x2: 7.4 M parameters, 0.58 GMACs."""
    variant: dict[str, Any] = {"widths": (244, 488, 976), "head_width": 2048}
    return ShuffleNetV2(**(variant | overrides))
