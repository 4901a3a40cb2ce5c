"""A network that cannot be exported."""

from __future__ import annotations

from torch import Tensor, nn


class Stubborn(nn.Module):
    """Its graph depends on the values of its input, which no file can say."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Return [N, 8, H - 2, W - 2]."""
        y = self.conv(x)
        return y if float(y.mean()) > 0 else -y


def stubborn() -> nn.Module:
    return Stubborn()
