"""How well cheap operators stand in for a dense 3x3 convolution, on a user's images.

Each is a pair of convolutions without an activation between them, so it is a linear map of the 3x3
patches, made of blocks of limited rank: a partial convolution and a pointwise one, for C channels,
are a block of rank C/4 on the patches of the first quarter and the centres of the rest; a depthwise
and a pointwise one are C blocks of rank 1. The best such map in the least squares is found block by
block, each by a reduced-rank regression (Izenman, 1975), until it improves no more. So operators
are compared by what they can do, not by how they were trained.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lightmobile.device_bench.findings import Column, Findings, Row, Table
from lightmobile.device_bench.studies.claims import decide
from lightmobile.device_bench.studies.estimate import Estimate
from lightmobile.device_bench.studies.study import CheckpointStudy, Weights
from lightmobile.device_bench.studies.tables import cells, estimated
from lightmobile.device_bench.studies.trained import bootstrap, trained_kernels
from lightmobile.errors import UsageError

if TYPE_CHECKING:
    import torch
    from torch import nn

    from lightmobile.device_bench.studies.trained import Floats

__all__ = ["OPERATORS", "STUDY", "Block", "blocks", "fit"]

_PAPER = "Chen et al., CVPR 2023, arXiv:2303.03667, in a digest"
_QUESTION = "Which cheap operator comes nearest to what a dense 3x3 convolution computes?"
_PATCHES = 196
_SWEEPS = 20
_ENOUGH = 1e-4
_RIDGE = 1e-6
_GROUPS = 16
_FEWEST_IMAGES = 4
_MOST_IMAGES = 128
_QUICK_IMAGES = 8

OPERATORS = {
    "pconv": "PConv 1/4 + PWConv",
    "dwconv": "DWConv + PWConv",
    "gconv": f"GConv of {_GROUPS} groups + PWConv",
}


@dataclass(frozen=True)
class Block:
    """Inputs, of the 9C numbers of a patch, that reach all outputs through `rank` numbers."""

    inputs: torch.Tensor
    rank: int


def blocks(operator: str, channels: int) -> list[Block]:
    """Return the blocks of an operator of C channels; patches are ordered channel, row, column."""
    import torch

    patch = torch.arange(9 * channels).view(channels, 9)
    if operator == "pconv":
        touched = channels // 4
        centres = patch[touched:, 4]
        return [Block(patch[:touched].flatten(), touched), Block(centres, len(centres))]
    groups = channels if operator == "dwconv" else _GROUPS
    return [Block(each.flatten(), channels // groups) for each in patch.chunk(groups)]


def fit(moments: torch.Tensor, dense: torch.Tensor, parts: list[Block]) -> torch.Tensor:
    """Return the map of the blocks that is nearest to `dense`, [9C, N], on the patches.

    Parameters
    ----------
    moments
        Sum of each pair of a patch's numbers over the patches, [9C, 9C]: all that matters of them.
    """
    import torch

    ridge = _RIDGE * moments.diagonal().mean()
    moments = moments + ridge * torch.eye(len(moments), dtype=moments.dtype)
    factors = [torch.linalg.cholesky(moments[b.inputs][:, b.inputs]) for b in parts]
    found = torch.zeros_like(dense)
    left = moments @ dense  # moments times what is still missing
    loss = float((dense * left).sum())
    for _ in range(_SWEEPS):
        for block, factor in zip(parts, factors, strict=True):
            rows = block.inputs
            whole = torch.cholesky_solve(left[rows], factor) + found[rows]
            best = _reduced(whole, factor, block.rank)
            left = left - moments[:, rows] @ (best - found[rows])
            found[rows] = best
        before, loss = loss, float(((dense - found) * left).sum())
        if len(parts) == 1 or loss <= 0 or (before - loss) < _ENOUGH * before:
            break
    return found


def _reduced(whole: torch.Tensor, factor: torch.Tensor, rank: int) -> torch.Tensor:
    """Return the matrix of `rank` nearest to `whole` where distances are those of the patches."""
    import torch

    if rank >= min(whole.shape):
        return whole
    white = factor.T @ whole
    # Its singular vectors on the side of the inputs, which are few.
    vectors = torch.linalg.eigh(white @ white.T).eigenvectors[:, -rank:]
    nearest: torch.Tensor = torch.linalg.solve_triangular(
        factor.T, vectors @ (vectors.T @ white), upper=True
    )
    return nearest


def _run(weights: Weights) -> Findings:
    from lightmobile.models import create_model

    trained_kernels(weights.checkpoint)  # refuses random ones
    assert weights.images is not None  # noqa: S101 - `run_study` asks for them
    files = _files(weights.images)
    model = create_model(weights.model, weights.checkpoint).eval()
    layers = _layers(model)
    if not layers:
        raise UsageError(
            f"{weights.model} has no dense 3x3 convolution that keeps shape and channels",
            fix="Give --model of one that has, such as resnet50, and its checkpoint",
        )
    if weights.quick:
        layers = dict(list(layers.items())[:1])
        files = files[:_QUICK_IMAGES]
    patches = _patches(model, layers, files, weights.model)
    errors = {
        (name, operator): _errors(layer, patches[name], operator)
        for name, layer in layers.items()
        for operator in OPERATORS
    }
    return _findings(weights, layers, errors, len(files))


def _files(folder: Path) -> list[Path]:
    """Return the images below `folder`, at most so many, those of each class alike."""
    from lightmobile.models.preprocessing import IMAGE_SUFFIXES

    if not folder.is_dir():
        raise UsageError(f"There is no folder {folder}", fix="Give --images DIR")
    found = sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file()
    )
    if len(found) < _FEWEST_IMAGES:
        raise UsageError(
            f"{folder} has {len(found)} images, and at least {_FEWEST_IMAGES} are needed",
            why="Half of them fit the operators, the others tell how well",
            fix=f"Give photographs ({', '.join(sorted(IMAGE_SUFFIXES))})",
        )
    return found[:: -(-len(found) // _MOST_IMAGES)]


def _layers(model: nn.Module) -> dict[str, nn.Conv2d]:
    """Return the last convolution that could be replaced of each number of channels."""
    from torch import nn

    found = {
        module.in_channels: (name, module)
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d)
        and module.kernel_size == (3, 3)
        and module.stride == module.dilation == (1, 1)
        and module.groups == 1
        and module.in_channels == module.out_channels
        and module.in_channels % _GROUPS == 0
    }
    return {name: module for _, (name, module) in sorted(found.items())}


def _patches(
    model: nn.Module, layers: dict[str, nn.Conv2d], files: list[Path], name: str
) -> dict[str, list[torch.Tensor]]:
    """Return of each layer the patches that each image gives it, [P, 9C], at random places."""
    import torch
    from torch.nn import functional as F

    from lightmobile.models import model_info
    from lightmobile.models.preprocessing import load_image

    found: dict[str, list[torch.Tensor]] = {name: [] for name in layers}
    random = torch.Generator().manual_seed(0)

    def keep(kept: list[torch.Tensor]) -> Callable[[nn.Module, tuple[torch.Tensor, ...]], None]:
        def hook(_layer: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            columns_ = F.unfold(inputs[0], 3, padding=1)[0].T
            places = torch.randperm(len(columns_), generator=random)[:_PATCHES]
            kept.append(columns_[places])

        return hook

    hooks = [layer.register_forward_pre_hook(keep(found[each])) for each, layer in layers.items()]
    preprocessing = model_info(name).preprocessing
    try:
        with torch.no_grad():
            for file in files:
                model(torch.from_numpy(load_image(file, preprocessing)))
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _errors(layer: nn.Conv2d, patches: list[torch.Tensor], operator: str) -> Floats:
    """Fit on every second image; return error and signal, squared, of each other one, [N, 2]."""
    import numpy as np
    import torch

    with torch.no_grad():
        dense = layer.weight.flatten(1).T.double()
        moments = torch.zeros(len(dense), len(dense), dtype=torch.float64)
        for each in patches[::2]:
            moments += (each.T @ each).double()
        missing = dense - fit(moments, dense, blocks(operator, layer.in_channels))
        return np.array(
            [
                [float(((each.double() @ left) ** 2).sum()) for left in (missing, dense)]
                for each in patches[1::2]
            ]
        )


def _findings(
    weights: Weights,
    layers: dict[str, nn.Conv2d],
    errors: dict[tuple[str, str], Floats],
    images: int,
) -> Findings:
    import numpy as np

    rows = []
    for name, layer in layers.items():
        channels = layer.in_channels
        for operator, title in OPERATORS.items():
            error = bootstrap(
                errors[name, operator],
                lambda drawn: drawn[..., 0].sum(axis=1) / drawn[..., 1].sum(axis=1),
            )
            weights_ = sum(
                block.rank * (len(block.inputs) if len(block.inputs) != block.rank else 0)
                for block in blocks(operator, channels)
            )
            macs = weights_ + channels**2
            rows.append(
                Row(
                    {
                        "layer": name,
                        "channels": channels,
                        "operator": title,
                        "macs": macs / (9 * channels**2),
                        **cells("error", error),
                    }
                )
            )

    def against(other: str) -> list[tuple[str, Estimate | None]]:
        return [
            (
                f"{name}, {layer.in_channels} channels",
                bootstrap(
                    np.concatenate((errors[name, other], errors[name, "pconv"]), axis=1),
                    lambda drawn: drawn[..., 0].sum(axis=1) / drawn[..., 2].sum(axis=1),
                ),
            )
            for name, layer in layers.items()
        ]

    claims = tuple(
        decide(
            f"PConv + PWConv approximates a regular convolution best, though by little ({_PAPER}; "
            "there the operators were trained)",
            f"squared error of {OPERATORS[other]} over that of PConv + PWConv, on held-out images",
            against(other),
            "above",
            1,
        )
        for other in ("dwconv", "gconv")
    )
    return Findings(
        study=STUDY.name,
        question=_QUESTION,
        session="",
        device="",
        tables=(
            Table(
                "Relative squared error on held-out images, best in the least squares",
                (
                    Column("layer", "layer"),
                    Column("channels", "channels"),
                    Column("operator", "operator"),
                    Column("macs", "MACs over the dense one's"),
                    estimated("error", "relative error"),
                ),
                tuple(rows),
            ),
        ),
        claims=claims,
        summary=tuple(
            f"In {label}, {OPERATORS[other]} has {ratio} times the error of PConv + PWConv."
            for other in ("dwconv", "gconv")
            for label, ratio in against(other)
        ),
        notes=(
            f"{weights.model} with {weights.checkpoint.name}, {images} images: every second one "
            f"fits, the others are held out; at most {_PATCHES} places of each.",
            "Intervals are bootstraps over the held-out images. Nothing was measured on a device.",
        ),
        quick=weights.quick,
    )


STUDY = CheckpointStudy(
    name="conv-approximation",
    question=_QUESTION,
    paper=f"PConv + PWConv comes nearest to a regular convolution. {_PAPER}",
    run=_run,
    takes_images=True,
)
