"""Handwritten digits, as scikit-learn ships them: a task that a tiny network really learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits
from torch import nn

from lightmobile.models.threads import one_thread

SIDE = 32
HELD_OUT = 360  # of 1797 images, the last ones: other writers than the first


def images() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return images [1797, 32, 32, 3] and their labels [1797]."""
    digits = load_digits()
    scaled = (digits.images * 255 / 16).astype(np.uint8)
    large = scaled.repeat(SIDE // 8, axis=1).repeat(SIDE // 8, axis=2)
    return np.repeat(large[..., None], 3, axis=3), digits.target


def tensors() -> tuple[torch.Tensor, torch.Tensor]:
    """Return the same as float32 [1797, 3, 32, 32], normalised with mean and deviation 0.5."""
    pixels, labels = images()
    normal = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5
    return normal.contiguous(), torch.from_numpy(labels)


def train(model: nn.Module, epochs: int = 6, seed: int = 0) -> None:
    """Train `model` on all but the held-out images; leave it in evaluation mode."""
    x, y = (tensor[:-HELD_OUT] for tensor in tensors())
    torch.manual_seed(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=0.05)
    steps = epochs * -(-len(x) // 64)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    model.train()
    with one_thread():  # layers this small only wait for a second one
        for _ in range(epochs):
            for batch in torch.randperm(len(x)).split(64):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
                optimizer.step()
                schedule.step()
    model.eval()


def held_out() -> tuple[torch.Tensor, torch.Tensor]:
    """Return the images and labels that `train` does not show, as `tensors` does."""
    x, y = tensors()
    return x[-HELD_OUT:], y[-HELD_OUT:]


@torch.no_grad()
def accuracy(model: nn.Module) -> float:
    """Return the share of held-out images that `model` recognises."""
    x, y = held_out()
    return (model(x).argmax(1) == y).float().mean().item()


def write_held_out(folder: Path) -> None:
    """Write the held-out images as PNG files, a folder a class."""
    _write(folder, slice(-HELD_OUT, None))


def write_training(folder: Path) -> None:
    """Write the images that `train` shows, likewise."""
    _write(folder, slice(None, -HELD_OUT))


def _write(folder: Path, chosen: slice) -> None:
    pixels, labels = (each[chosen] for each in images())
    for index, (image, label) in enumerate(zip(pixels, labels, strict=True)):
        place = folder / str(label)
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{index}.png")
