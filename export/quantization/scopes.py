"""Which operators of a TFLite model came from which modules.

litert-torch names a tensor after the modules that were being called when it was computed, by their
classes and the last part of their names::

    torch.nn.modules.container.Sequential_stages/torch.nn.modules.conv.Conv2d_0;1

What stands between semicolons are such paths, several where operators were fused, and numbers.
ai-edge-quantizer knows an operator by its scope, the names of its outputs. An output of the whole
model has lost its path: there the names of the operator's weights tell, or who returned it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from lightmobile.errors import UsageError
from lightmobile.export.quantization.layers import is_kept

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import torch
    from torch import nn

__all__ = ["kept_scopes"]


def kept_scopes(
    model: bytes, module: nn.Module, example: torch.Tensor, keep_fp: Sequence[str]
) -> list[str]:
    """Return the scopes of the operators that lie in the modules `keep_fp`.

    Parameters
    ----------
    model
        What litert-torch converted `module` to.
    module
        It returns a dictionary, the outputs by their names in the model's signature.
    example
        An input of it.
    keep_fp
        Names of modules in it.

    Raises
    ------
    UsageError
        The model names one of them as it names another module, which is not to be kept.
    """
    from ai_edge_quantizer.utils.tfl_flatbuffer_utils import get_op_scope, read_model

    called, producers = _run(module, example)
    sources = _sources(module, called)
    _require_distinct(sources, keep_fp)
    read = read_model(model)
    graph = read.subgraphs[0]
    tensors = [tensor.name.decode() for tensor in graph.tensors]
    held = [read.buffers[tensor.buffer].data is not None for tensor in graph.tensors]

    def modules(operator: Any) -> set[str]:
        outputs = [tensors[index] for index in operator.outputs]
        found = {module for name in outputs for module in _named(name, sources)}
        if not found:
            weights = [tensors[index] for index in operator.inputs if index >= 0 and held[index]]
            found = {module for name in weights for module in _named(name, sources)}
            found |= {producers[name] for name in outputs if name in producers}
        return found

    return [
        get_op_scope(operator, graph.tensors)
        for operator in graph.operators
        if any(is_kept(module, keep_fp) for module in modules(operator))
    ]


def _run(module: nn.Module, example: torch.Tensor) -> tuple[list[str], dict[str, str]]:
    """Return which modules are called, and which of them computes each output, by its tensor."""
    import torch

    # What was returned is held, so that no two have the same identity; the first who returned it
    # computed it, others hand it on.
    returned: dict[int, tuple[str, object]] = {}
    called = []

    def note(name: str) -> Any:
        def hook(_module: nn.Module, _inputs: object, output: object) -> None:
            called.append(name)
            returned.setdefault(id(output), (name, output))

        return hook

    hooks = [child.register_forward_hook(note(name)) for name, child in module.named_modules()]
    try:
        with torch.inference_mode():
            outputs = module(example)
    finally:
        for hook in hooks:
            hook.remove()
    return called, {
        f"serving_default_{name}_output": returned[id(output)][0]
        for name, output in outputs.items()
        if id(output) in returned
    }


def _sources(module: nn.Module, called: list[str]) -> dict[str, list[str]]:
    """Return the names of the modules that were called, by their paths in the file."""
    parts = {}
    for name in called:
        kind = type(module.get_submodule(name))
        own = name.rpartition(".")[2]
        parts[name] = f"{kind.__module__}.{kind.__qualname__}" + (f"_{own}" if own else "")
    sources = defaultdict(list)
    for name in parts:
        ancestors = (outer for outer in parts if not outer or f"{name}.".startswith(f"{outer}."))
        path = "/".join(parts[outer] for outer in sorted(ancestors, key=len))
        sources[path].append(name)
    return sources


def _named(tensor: str, sources: Mapping[str, list[str]]) -> Iterator[str]:
    """Yield the modules in the name of a tensor."""
    for path in tensor.split(";"):
        # A module's second call is module@1.
        yield from sources.get(re.sub(r"@\d+", "", path), [])


def _require_distinct(sources: Mapping[str, list[str]], keep_fp: Sequence[str]) -> None:
    for path, names in sources.items():
        kept = [name for name in names if is_kept(name, keep_fp)]
        others = [name for name in names if name not in kept]
        if kept and others:
            raise UsageError(
                f"{kept[0]} cannot be kept in floating point without {others[0]}",
                why=f"Both are called {path.rpartition('/')[2]} in the TFLite model",
                fix="Keep both of them",
            )
