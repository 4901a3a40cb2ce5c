"""Folding batch norms in networks that do not say how: what follows what is seen as they run."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lightmobile.models.layers.fold import fold_norm

__all__ = ["fold_norms"]

_ATEN = torch.ops.aten


@torch.no_grad()
def fold_norms(network: nn.Module, example: torch.Tensor) -> nn.Module:
    """Return a copy of `network`, in evaluation mode, with norms folded into convolutions.

    A norm is folded if it is the only reader of what one convolution makes, and nothing else
    reads the weights of either. All others stay: slower, and as right.

    Parameters
    ----------
    example
        An input to run the network on.
    """
    network.eval()
    with _Recorder() as recorder:
        recorder.read(network(example))
    convs = {id(m.weight): m for m in network.modules() if isinstance(m, nn.Conv2d)}
    norms = {id(m.running_mean): m for m in network.modules() if _is_foldable(m)}
    forms: dict[int, Any] = {}
    for output, weight, mean in recorder.pairs:
        conv, norm = convs.get(weight), norms.get(mean)
        if conv is None or norm is None:
            continue
        tensors = (*conv.parameters(), *norm.parameters(), norm.running_mean)
        if all(recorder.reads[key] == 1 for key in (output, *map(id, tensors))):
            forms[id(conv)], forms[id(norm)] = fold_norm(conv, norm), _rest(norm)
    return copy.deepcopy(network, forms)


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts how often each tensor is read, and pairs convolutions with the norms behind them.

    Attributes
    ----------
    reads
        By the tensor's identity; true of weights and of what convolutions make.
    pairs
        Identities of a convolution's output, of its weight, and of the mean of a norm of it.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.reads: Counter[int] = Counter()
        self.pairs: list[tuple[int, int, int]] = []
        self._made: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}  # alive: identities last

    def read(self, tree: Any) -> None:
        """Count a read of each tensor in `tree`."""
        self.reads.update(id(leaf) for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor))

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        self.read((args, kwargs))
        if func is _ATEN.convolution.default:
            # An identity may have been that of a tensor which is gone.
            self.reads[id(result)] = 0
            self._made[id(result)] = result, args[1]
        elif func is _ATEN.native_batch_norm.default and id(args[0]) in self._made:
            _, weight = self._made[id(args[0])]
            self.pairs.append((id(args[0]), id(weight), id(args[3])))
        return result


def _is_foldable(module: nn.Module) -> bool:
    return (
        isinstance(module, nn.BatchNorm2d)
        and module.affine
        and module.running_mean is not None
        and type(module).__name__ in ("BatchNorm2d", "BatchNormAct2d")
    )


def _rest(norm: nn.Module) -> nn.Module:
    """Return what `norm` does besides: timm's BatchNormAct2d drops out, and has an activation."""
    rest = [copy.deepcopy(child) for child in norm.children()]
    return nn.Sequential(*rest) if rest else nn.Identity()
