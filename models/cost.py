"""What a model costs before it runs anywhere: MACs, parameters, activations and bytes.

Counted operator by operator on the meta device, without arithmetic and without memory.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lightmobile.models.bridges.foreign import Foreign
from lightmobile.models.fusion import fuse
from lightmobile.models.registry import build, model_info

__all__ = ["Complexity", "Operator", "complexity"]


@dataclass(frozen=True)
class Operator:
    """One operator of a forward pass; figures are for a single image.

    Attributes
    ----------
    name
        The innermost module that runs it, such as ``stages.0.blocks.0.mlp.0``.
    kind
        ``conv``, ``linear``, ``matmul``, ``max_pool``, or ATen's name of it.
    macs
        Multiply-accumulates of a convolution or matrix product, biases not counted; else 0.
    biases
        Additions of a bias besides, one for each element written.
    params
        Parameters that it is the first to read.
    activations
        Elements it writes, if a convolution, a linear layer or a max pool; else 0
        (Dollár et al., CVPR 2021, arXiv:2103.06877).
    bytes
        Its traffic in fp32: every input and parameter read once, the output written once. A view,
        such as a slice, moves nothing, and is no operator here; what reads it reads only its
        elements.
    weight_bytes
        What of it is parameters.
    shape
        Of the output.
    kernel, groups
        Of a convolution; else empty and 1.
    """

    name: str
    kind: str
    macs: int
    biases: int
    params: int
    activations: int
    bytes: int
    weight_bytes: int
    shape: tuple[int, ...]
    kernel: tuple[int, ...] = ()
    groups: int = 1

    @property
    def family(self) -> str:
        """Its kind, and of a convolution which one: ``depthwise 3x3``, ``conv 1x1``."""
        if not self.kernel:
            return self.kind
        side = "x".join(map(str, self.kernel))
        if self.groups == 1:
            return f"conv {side}"
        return f"{'depthwise' if self.groups == self.shape[1] else 'grouped'} {side}"

    @property
    def is_in_passing(self) -> bool:
        """Whether the kernel before or after it could do it: it copies, or maps each element."""
        return self.kind in _IN_PASSING


@dataclass(frozen=True)
class Complexity:
    """The cost of one image: `rows` in the order they run, and their sums."""

    rows: tuple[Operator, ...]

    @property
    def macs(self) -> int:
        """Multiply-accumulates of convolutions and matrix products, the papers' "FLOPs"."""
        return sum(row.macs for row in self.rows)

    @property
    def flops(self) -> int:
        """MACs and additions of biases, as Dollár et al. (CVPR 2021) count a training form."""
        return self.macs + sum(row.biases for row in self.rows)

    @property
    def params(self) -> int:
        """Parameters, those of norms among them."""
        return sum(row.params for row in self.rows)

    @property
    def activations(self) -> int:
        """Elements that convolutions, linear layers and max pools write."""
        return sum(row.activations for row in self.rows)

    @property
    def bytes(self) -> int:
        """Traffic of all operators in fp32, each for itself."""
        return sum(row.bytes for row in self.rows)

    @property
    def weight_bytes(self) -> int:
        """What of it is parameters."""
        return sum(row.weight_bytes for row in self.rows)

    @property
    def ideal_bytes(self) -> int:
        """Traffic of the operators that no other could do in passing: what must be moved."""
        return sum(row.bytes for row in self.rows if not row.is_in_passing)

    @property
    def working_set_bytes(self) -> int:
        """Activations of the operator that touches most of them, in fp32."""
        return max((row.bytes - row.weight_bytes for row in self.rows), default=0)


def complexity(
    model_or_name: str | nn.Module,
    input_size: tuple[int, int] | None = None,
    fused: bool = False,
    *,
    channels: int = 3,
) -> Complexity:
    """Count what one image costs.

    Parameters
    ----------
    model_or_name
        A name means its training form, as the papers count. A module stays as it is.
    input_size
        Height and width in pixels; where None, a name's own, and 224x224 for a module.
    fused
        Count the deployed form.
    channels
        Of a module's input.

    Raises
    ------
    UsageError
        There is no such model.
    """
    if isinstance(model_or_name, str):
        facts = model_info(model_or_name)
        input_size = input_size or facts.input_size
        channels = facts.preprocessing.channels
        with torch.device("meta"):
            model = build(model_or_name, {}, input_size=input_size)
    else:
        model = _on_meta(model_or_name)
    model = fuse(model) if fused else model.eval()
    counter = _Counter(model)
    # A network through a bridge is on the CPU: code that is not ours need not bear the other.
    device = next((parameter.device for parameter in model.parameters()), None)
    image = torch.zeros(1, channels, *(input_size or (224, 224)), device=device)
    # Attention as the matrix products that it is, not as one operator of some processor.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
        model(image)
    return Complexity(tuple(counter.rows))


def _on_meta(model: nn.Module) -> nn.Module:
    """Return a copy of `model` without memory for its tensors; of a foreign one, a whole copy."""
    if isinstance(model, Foreign):
        return copy.deepcopy(model)
    ghosts: dict[int, Any] = {}
    for parameter in model.parameters():
        ghosts[id(parameter)] = nn.Parameter(parameter.detach().to("meta"))
    for buffer in model.buffers():
        ghosts[id(buffer)] = buffer.to("meta")
    return copy.deepcopy(model, ghosts)


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Record the operators of `model` that run within this context."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.rows: list[Operator] = []
        self._parameters = {id(parameter) for parameter in model.parameters()}
        self._unread = {*self._parameters}
        self._running: list[str] = []
        self._zeros: dict[str, int] = {}
        for name, module in model.named_modules():
            self._zeros[name] = getattr(module, "zeros", 0)
            module.register_forward_pre_hook(partial(self._enter, name))
            module.register_forward_hook(self._leave)

    def _enter(self, name: str, *_: object) -> None:
        self._running.append(name)

    def _leave(self, *_: object) -> None:
        self._running.pop()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        run = _batch_norm if func is torch.ops.aten.native_batch_norm.default else func
        result = run(*args, **(kwargs or {}))
        inputs = [leaf for leaf in tree_leaves(args) if isinstance(leaf, torch.Tensor)]
        if inputs and not _is_view(func):
            # Some operators return by-products of training beside what they compute.
            output = tree_leaves(result)[0]
            self.rows.append(self._row(func.overloadpacket.__name__, args, inputs, output))
        return result

    def _row(
        self, aten: str, args: tuple[Any, ...], inputs: list[torch.Tensor], output: torch.Tensor
    ) -> Operator:
        kind, count = _COUNTED.get(aten, (aten, _none))
        name = self._running[-1]
        macs, params = count(args, output), sum(self._first_read(tensor) for tensor in inputs)
        # A layer may declare how many of its weights are zeros whatever it learns. The papers
        # count neither them nor the products with them.
        zeros = self._zeros[name]
        return Operator(
            name=name,
            kind=kind,
            macs=macs - zeros * output[0, 0].numel() if macs and zeros else macs,
            biases=output.numel() if _has_bias(aten, args) else 0,
            params=params - zeros if params else 0,
            activations=output.numel() if kind in _WRITES_ACTIVATIONS else 0,
            bytes=_size([*inputs, output]),
            weight_bytes=_size([tensor for tensor in inputs if self._is_parameter(tensor)]),
            shape=tuple(output.shape),
            **_kernel(aten, args),
        )

    def _is_parameter(self, tensor: torch.Tensor) -> bool:
        source = tensor if tensor._base is None else tensor._base
        return id(source) in self._parameters

    def _first_read(self, tensor: torch.Tensor) -> int:
        """Return the size of the parameter behind `tensor`, if none has read it yet."""
        source = tensor if tensor._base is None else tensor._base
        if id(source) not in self._unread:
            return 0
        self._unread.remove(id(source))
        return source.numel()


def _size(tensors: list[torch.Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _batch_norm(x: torch.Tensor, *_: object) -> tuple[torch.Tensor, ...]:
    """Return what ATen's does, in a tenth of the time that its meta kernel takes."""
    return torch.empty_like(x), x.new_empty(0), x.new_empty(0)


def _is_view(func: Any) -> bool:
    return any(
        result.alias_info and not result.alias_info.is_write for result in func._schema.returns
    )


def _kernel(aten: str, args: tuple[Any, ...]) -> dict[str, Any]:
    if aten != "convolution":
        return {}
    return {"kernel": tuple(args[1].shape[2:]), "groups": int(args[-1])}


def _has_bias(aten: str, args: tuple[Any, ...]) -> bool:
    return aten == "addmm" or (aten == "convolution" and args[2] is not None)


def _none(args: tuple[Any, ...], output: torch.Tensor) -> int:  # noqa: ARG001
    return 0


def _convolution(args: tuple[Any, ...], output: torch.Tensor) -> int:
    weight: torch.Tensor = args[1]
    return output.numel() * weight[0].numel()


def _product(args: tuple[Any, ...], output: torch.Tensor) -> int:
    *_, left, _right = (arg for arg in args if isinstance(arg, torch.Tensor))
    return output.numel() * left.shape[-1]


_COUNTED: dict[str, tuple[str, Callable[[tuple[Any, ...], torch.Tensor], int]]] = {
    "convolution": ("conv", _convolution),
    "addmm": ("linear", _product),
    "mm": ("linear", _product),
    "bmm": ("matmul", _product),
    "max_pool2d_with_indices": ("max_pool", _none),
    "adaptive_max_pool2d": ("max_pool", _none),
}
_IN_PASSING = frozenset(
    {
        *("cat", "clone", "constant_pad_nd"),
        *("relu", "hardtanh", "hardswish", "hardsigmoid", "sigmoid", "silu", "gelu", "tanh"),
        *("leaky_relu", "elu", "clamp"),
    }
)
_WRITES_ACTIVATIONS = frozenset({"conv", "linear", "max_pool"})
