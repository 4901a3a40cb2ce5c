"""Find every weight of the model in the artifact, exactly, and nothing else.

Exporters permute the axes of weights, merge equal ones and leave zeros and ones out, but they never
change a value other than by rounding it to the artifact's precision. So a weight is found where a
constant holds the same float32 bits in some order of its axes; or, where the artifact keeps it on a
grid, where each value is the one that the weight's is rounded to. This notices a single flipped bit
in any layer, or a damaged scale, however little it moves the outputs.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import permutations
from typing import TYPE_CHECKING, Any

import numpy as np

from lightmobile.errors import VerificationError
from lightmobile.export.verification.compressed import Compressed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    Constant = NDArray[Any] | Compressed

__all__ = ["compare_weights"]

_NONE: frozenset[str] = frozenset()
_SHOWN = 5


def compare_weights(
    constants: Mapping[str, Constant],
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
    forms = ("fp32",) if precision == "fp32" else ("fp32", "fp16")
    floats = {name: w for name, w in weights.items() if np.issubdtype(w.dtype, np.floating)}
    # A number alone may be folded into an operator, and what adds zeros or multiplies by ones be
    # left out; the outputs judge it.
    missing = {name for name, w in floats.items() if w.size > 1 and w.any() and (w != 1).any()}
    required = len(missing)
    known = _Known(forms)
    for name, weight in floats.items():
        known.add(weight, frozenset({name}))
    for array, sources in computed:
        known.add(array, sources)
    foreign = []
    for name, constant in constants.items():
        found = known.sources(constant)
        missing -= found or _NONE
        values = constant.dense if isinstance(constant, Compressed) else constant
        if found is None and (values != values.flat[:1]).any():
            foreign.append(f"{name} {list(values.shape)}")
    if missing or foreign:
        raise _difference(sorted(missing), foreign, required)
    return required


class _Known:
    """The arrays that an artifact may hold, and the weights that each stands for."""

    def __init__(self, forms: tuple[str, ...]) -> None:
        self._forms = forms
        self._arrays: dict[int, list[tuple[NDArray[Any], frozenset[str]]]] = defaultdict(list)
        self._bits: dict[tuple[int, int], list[tuple[NDArray[Any], str, frozenset[str]]]]
        self._bits = defaultdict(list)

    def add(self, array: NDArray[Any], stands_for: frozenset[str]) -> None:
        self._arrays[array.size].append((array, stands_for))
        for form in self._forms:
            fingerprint = _fingerprint(_bits(array, form))
            self._bits[fingerprint].append((array, form, stands_for))

    def sources(self, constant: Constant) -> frozenset[str] | None:
        """Return the weights that `constant` stands for, perhaps none; None if it is foreign."""
        if isinstance(constant, Compressed):
            found = [
                stands_for
                for array, stands_for in self._arrays[constant.dense.size]
                if _rounded_from(array, constant)
            ]
        else:
            bits = _bits(constant)
            found = [
                stands_for
                for array, form, stands_for in self._bits[_fingerprint(bits)]
                if _same_but_for_axes(bits, _bits(array, form))
            ]
        return _NONE.union(*found) if found else None


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


def _rounded_from(weight: NDArray[Any], constant: Compressed) -> bool:
    """Tell whether `constant` is what `weight` is rounded to, in some order of its axes."""
    constant, weight = constant.squeezed(), weight.squeeze()
    return any(
        constant.dense.shape == view.shape and constant.holds(view)
        for view in (weight.transpose(axes) for axes in permutations(range(weight.ndim)))
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
