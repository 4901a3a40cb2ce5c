"""The operators that show what a device can do, through the runtimes that everything else uses.

A ceiling that another program measures would bound nothing here: a runtime has its own kernels and
threads. So ceilings are measured by operators that do one thing only, interleaved with the ones
that they bound, and a roof is the best that any of the runtimes reached.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["PROBES", "QUICK_PROBES", "Probe", "probe_of", "probes"]

Resource = Literal["compute", "stream", "read"]


@dataclass(frozen=True)
class Probe:
    """An operator that shows one resource.

    Attributes
    ----------
    model
        Its name.
    resource
        ``compute``: multiply-accumulates of large matrix products and convolutions. ``stream``:
        reads two tensors and writes one. ``read``: reads weights, each used once.
    """

    model: str
    resource: Resource


def _compute(kind: str, channels: int, size: int) -> Probe:
    return Probe(f"op:{kind},channels={channels},size={size},layers=4", "compute")


def _stream(channels: int, size: int) -> Probe:
    return Probe(f"op:add,channels={channels},size={size},layers=10", "stream")


def _read(channels: int) -> Probe:
    return Probe(f"op:pwconv,channels={channels},size=1,layers=10", "read")


PROBES = (
    # Several shapes: which one suits a kernel best is the kernel's affair.
    _compute("pwconv", 128, 28),
    _compute("pwconv", 256, 28),
    _compute("pwconv", 512, 14),
    _compute("conv", 64, 56),
    _compute("conv", 256, 14),
    # Working sets from 12 KB to 50 MB of activations, in steps of four, and to 170 MB of weights:
    # the caches show.
    *(_stream(64, size) for size in (4, 8, 16, 32, 64, 128, 256)),
    *(_read(channels) for channels in (64, 256, 1024, 2048)),
)
QUICK_PROBES = (_compute("pwconv", 64, 14), _stream(16, 8), _stream(16, 32), _read(64))

_KNOWN = {probe.model: probe for probe in (*PROBES, *QUICK_PROBES)}


def probes(quick: bool) -> tuple[Probe, ...]:
    """Return the probes of a session."""
    return QUICK_PROBES if quick else PROBES


def probe_of(model: str) -> Probe | None:
    """Return the probe that `model` is; None where it is none."""
    return _KNOWN.get(model)
