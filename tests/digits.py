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


@torch.no_grad()
def accuracy(model: nn.Module) -> float:
    """Return the share of held-out images that `model` recognises."""
    x, y = (tensor[-HELD_OUT:] for tensor in tensors())
    return (model(x).argmax(1) == y).float().mean().item()


def write_held_out(folder: Path) -> None:
    """Write the held-out images as PNG files, a folder a class."""
    pixels, labels = images()
    for index in range(len(labels) - HELD_OUT, len(labels)):
        place = folder / str(labels[index])
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[index]).save(place / f"{index}.png")
