"""Computing on one thread beside other processes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["one_thread"]


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute on one thread for as long as the block runs.

    Exporters work in processes of their own beside this one, and OpenMP's threads spin for the
    processors that those have: with three workers on two processors, two threads took 27 s where
    one takes 3 s.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
