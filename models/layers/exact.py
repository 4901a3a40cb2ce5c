"""A matrix product whose bits do not depend on the machine."""

from __future__ import annotations

import torch

__all__ = ["exact_product"]

_MANTISSA_BITS = 53


def exact_product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return ``a @ b`` to somewhat more than float32's precision, the same on every machine.

    A library adds up a dot product in the order that suits its processor, and every order rounds
    differently: once in some ten million times another float32 comes out, so that two machines
    would seldom agree on a large network's hash. Here all terms are integers so small that float64
    adds them without rounding, in whatever order (Ozaki et al., Numerical Algorithms 59, 2012).

    Parameters
    ----------
    a, b
        [M, K] and [K, N], float64.
    """
    bits = (_MANTISSA_BITS - (a.shape[1] - 1).bit_length()) // 3
    # What scales a row of b as a column of a undoes would waste the digits of both.
    inner = _power_of_two_above(b, dim=1)
    a, b = a * inner.T, b / inner
    rows, columns = _power_of_two_above(a, dim=1), _power_of_two_above(b, dim=0)
    a = torch.round(a / rows * 4.0**bits)
    b = torch.round(b / columns * 4.0**bits)
    high = torch.round(b / 2.0**bits)
    low = b - high * 2.0**bits
    product = (a @ high) * 2.0**bits + a @ low
    return product * (rows / 4.0**bits) * (columns / 4.0**bits)


def _power_of_two_above(matrix: torch.Tensor, dim: int) -> torch.Tensor:
    """Return the power of two above each row's or column's largest value, 1 where all are 0."""
    largest = matrix.abs().amax(dim, keepdim=True)
    # Dividing by the mantissa is exact, which torch.pow and torch.ldexp do not promise to be.
    return torch.where(largest == 0, 1.0, largest / torch.frexp(largest).mantissa)
