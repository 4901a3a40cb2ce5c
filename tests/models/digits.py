"""A tiny FasterNet trained for real, on the 1,797 handwritten digits that scikit-learn ships."""

from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from lightmobile.models import create_model

NAME = "fasternet_t0"
OVERRIDES = {"embed_dim": 16, "depths": (1, 1, 1), "feature_dim": 64, "num_classes": 10}
INPUT_SIZE = (32, 32)
_HELD_OUT = 360


class Trained(NamedTuple):
    """A model in evaluation mode, and digits it has not seen: [N, 3, 32, 32] and [N]."""

    model: nn.Module
    images: torch.Tensor
    labels: torch.Tensor


def train(epochs: int = 12) -> Trained:
    """Train on four digits of five, in seconds: layers this small are faster on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _train(epochs)
    finally:
        torch.set_num_threads(threads)


def _train(epochs: int) -> Trained:
    images, labels = _digits()
    torch.manual_seed(0)
    model = create_model(NAME, **OVERRIDES)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    seen = len(images) - _HELD_OUT
    for _ in range(epochs):
        for batch in torch.randperm(seen).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images[batch]), labels[batch]).backward()
            optimizer.step()
        schedule.step()
    return Trained(model.eval(), images[seen:], labels[seen:])


@torch.no_grad()
def accuracy(model: nn.Module, trained: Trained) -> float:
    return (model(trained.images).argmax(1) == trained.labels).float().mean().item()


def _digits() -> tuple[torch.Tensor, torch.Tensor]:
    from sklearn.datasets import load_digits

    digits = load_digits()
    order = np.random.Generator(np.random.PCG64(0)).permutation(len(digits.target))
    grey = digits.images[order, None].astype(np.float32) / 8 - 1
    large = grey.repeat(4, axis=2).repeat(4, axis=3).repeat(3, axis=1)
    return torch.from_numpy(large), torch.from_numpy(digits.target[order])
