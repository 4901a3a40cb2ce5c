"""Find every weight of the model in the artifact, exactly, and nothing else.

Exporters permute the axes of weights, merge equal ones and leave zeros and ones out, but they never
change a value other than by rounding it to the artifact's precision. So a weight is found where a
constant holds the same float32 bits in some order of its axes. This notices a single flipped bit
in any layer, however little it moves the outputs.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import permutations
from typing import TYPE_CHECKING, Any

import numpy as np

from lightmobile.errors import VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

__all__ = ["compare_weights"]

_SHOWN = 5


def compare_weights(
    constants: Mapping[str, NDArray[Any]],
    weights: Mapping[str, NDArray[Any]],
    precision: str,
    computed: Iterable[tuple[NDArray[Any], frozenset[str]]] = (),
) -> int:
    """Hold an artifact's `constants` against the model's `weights`, both by name.

    `computed` are arrays that the model computes from the weights named with each: an artifact
    may hold them instead.

    Returns
    -------
    int
        How many weights were found. Tensors of zeros, of ones and of one element are left out: an
        artifact need not hold them.

    Raises
    ------
    VerificationError
        A weight is not among the constants, or a constant is not among the weights. Constants
        that hold one value only (an operator's factor, a bias of zeros) may be the exporter's.
    """
    # Some exporters keep fp32 for what they run in it, beside what is rounded.
    forms = ("fp32", "fp16") if precision == "fp16" else ("fp32",)
    places: dict[tuple[int, int], list[tuple[str, str]]] = defaultdict(list)
    missing = set()
    for name, weight in weights.items():
        if not np.issubdtype(weight.dtype, np.floating):
            continue
        for form in forms:
            bits = _bits(weight, form)
            places[_fingerprint(bits)].append((name, form))
        # A number alone may be folded into an operator, and what adds zeros or multiplies by ones
        # be left out; the outputs judge it.
        if bits.size > 1 and bits.any() and (weight != 1).any():
            missing.add(name)
    required = len(missing)
    arrays = dict(weights)
    stand_for = {name: frozenset({name}) for name in weights}
    for number, (array, sources) in enumerate(computed):
        name = f"computed {number}"
        arrays[name], stand_for[name] = array, sources
        for form in forms:
            places[_fingerprint(_bits(array, form))].append((name, form))
    foreign = []
    for name, constant in constants.items():
        bits = _bits(constant)
        found = {
            source
            for source, form in places[_fingerprint(bits)]
            if _same_but_for_axes(bits, _bits(arrays[source], form))
        }
        missing.difference_update(*(stand_for[name] for name in found))
        if not found and (bits != bits.flat[:1]).any():
            foreign.append(f"{name} {list(constant.shape)}")
    if missing or foreign:
        raise _difference(sorted(missing), foreign, required)
    return required


def _bits(array: NDArray[Any], form: str = "fp32") -> NDArray[np.uint32]:
    """Return the bits in fp32, which holds every fp16 value too: XNNPACK keeps those in fp32."""
    if form == "fp16":
        with np.errstate(over="ignore"):
            array = array.astype(np.float16)
    return np.ascontiguousarray(array, np.float32).view(np.uint32)


def _fingerprint(bits: NDArray[np.uint32]) -> tuple[int, int]:
    """Return what no order of the axes changes; cheap, so that few tensors are compared."""
    return bits.size, int(bits.sum(dtype=np.uint64))


def _same_but_for_axes(one: NDArray[np.uint32], other: NDArray[np.uint32]) -> bool:
    one, other = one.squeeze(), other.squeeze()
    return any(
        one.shape == view.shape and np.array_equal(one, view)
        for view in (other.transpose(axes) for axes in permutations(range(other.ndim)))
    )


def _difference(missing: list[str], foreign: list[str], required: int) -> VerificationError:
    reasons = []
    if missing:
        reasons.append(f"{len(missing)} of {required} weights are not in it: {_list(missing)}")
    if foreign:
        reasons.append(f"it holds what is no weight of the model: {_list(foreign)}")
    return VerificationError(
        "The artifact's weights are not the model's",
        why="; ".join(reasons),
        fix="Export the model again",
    )


def _list(names: list[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown
