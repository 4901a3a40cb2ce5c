"""What a network computes from its weights alone; exporters keep the results in their place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lightmobile.models.bridges.foreign import Foreign

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Constant", "computed_constants"]

Constant = tuple["NDArray[np.float32]", frozenset[str]]

_NONE: frozenset[str] = frozenset()


@torch.no_grad()
def computed_constants(model: nn.Module) -> list[Constant]:
    """Return the tensors that do not depend on the input, each with the weights it comes from.

    Our own networks compute none.

    Among them are buffers that the state leaves out, such as the masks of Swin's windows, and the
    tables of its relative positions as attention adds them.
    """
    if not isinstance(model, Foreign):
        return []
    state = model.state_dict()
    example = model.example()  # made before anything is recorded: it comes from no weight either
    with _Recorder(model) as recorder:
        model(example)
    buffers = [(each, _NONE) for name, each in model.named_buffers() if name not in state]
    return [
        (tensor.detach().numpy(), sources)
        for tensor, sources in (*buffers, *recorder.made)
        if tensor.dtype == torch.float32
    ]


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows what comes from weights alone; `made` keeps it alive, so that identities last."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.made: list[tuple[torch.Tensor, frozenset[str]]] = []
        self._sources = {id(each): frozenset({name}) for name, each in network.named_parameters()}
        self._sources |= {id(each): _NONE for each in network.buffers()}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        inputs = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        known = [self._sources.get(id(each)) for each in inputs]
        sources = _NONE.union(*(each or () for each in known))
        for each in tree_leaves(result):
            if not isinstance(each, torch.Tensor):
                continue
            # An identity may have been that of a tensor which is gone.
            self._sources.pop(id(each), None)
            if all(one is not None for one in known):
                self._sources[id(each)] = sources
                self.made.append((each, sources))
        return result
