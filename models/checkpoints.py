"""Reading checkpoints: files of strangers, in the layout of the authors or of timm."""

from __future__ import annotations

import pickle
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from lightmobile.errors import UsageError
from lightmobile.models.key_map import KeyMap

__all__ = ["PREFIXES", "load_checkpoint", "read_checkpoint"]

# What training scripts put around a state dict; the averaged weights are the ones they publish.
_WRAPPERS = ("model_ema", "state_dict", "model")
# What DataParallel and Lightning put before every key.
PREFIXES = ("module.", "model.")


def load_checkpoint(model: nn.Module, path: str | Path) -> None:
    """Give `model`, which may be on the meta device, the weights of a checkpoint.

    The file has the model's own layout, or one of those in its ``key_maps``.

    Raises
    ------
    UsageError
        The file cannot be read, or does not fit; the message names the keys or shapes.
    """
    path = Path(path)
    expected = model.state_dict()
    key_maps: Mapping[str, KeyMap] = getattr(model, "key_maps", {})
    state = _in_own_layout(read_checkpoint(path), expected, key_maps.values())
    # A backbone takes the classifier's checkpoint, and leaves the head.
    unused: Collection[str] = getattr(model, "unused", ())
    state = {key: tensor for key, tensor in state.items() if key not in unused}
    _check_fit(path, state, expected)
    dtypes = {key: tensor.dtype for key, tensor in expected.items()}
    model.load_state_dict(
        {key: tensor.to(dtypes[key]).contiguous() for key, tensor in state.items()}, assign=True
    )


def read_checkpoint(path: Path) -> dict[str, torch.Tensor]:
    """Return the state dict in a ``.pth``, ``.pt`` or ``.safetensors`` file; no code of it runs.

    Raises
    ------
    UsageError
        The file cannot be read, or holds something else.
    """
    content = _read(path)
    while isinstance(content, Mapping):
        inner = [content[key] for key in _WRAPPERS if isinstance(content.get(key), Mapping)]
        if not inner:
            break
        content = inner[0]
    if not (
        isinstance(content, Mapping)
        and content
        and all(isinstance(key, str) for key in content)
        and all(isinstance(value, torch.Tensor) for value in content.values())
    ):
        raise _not_a_checkpoint(path, "It is not a dictionary of named tensors")
    for prefix in PREFIXES:
        if all(key.startswith(prefix) for key in content):
            return {key.removeprefix(prefix): value for key, value in content.items()}
    return dict(content)


def _read(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise UsageError(
            f"The checkpoint {path} cannot be read", why=error.strerror or ""
        ) from None
    if empty:
        raise _not_a_checkpoint(path, "It is empty")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except SafetensorError as error:
        raise _not_a_checkpoint(path, f"It is damaged: {error}") from None
    except pickle.UnpicklingError as error:
        # torch's own text advises to load the file without protection.
        code = re.search(r"GLOBAL ([\w.]+)", str(error))
        why = f"It calls for {code[1]}, and code is never run" if code else "It is damaged"
        raise _not_a_checkpoint(path, why) from None
    except Exception as error:  # noqa: BLE001 - a damaged file can raise whatever its parser meets
        raise _not_a_checkpoint(path, f"It is damaged: {type(error).__name__}") from None


def _in_own_layout(
    state: dict[str, torch.Tensor], expected: Mapping[str, Any], key_maps: Iterable[KeyMap]
) -> dict[str, torch.Tensor]:
    """Return `state` under the names that agree best with those expected."""
    layouts = [state, *(key_map.to_ours(state) for key_map in key_maps)]
    return max(layouts, key=lambda layout: len(layout.keys() & expected.keys()))


def _check_fit(
    path: Path, state: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]
) -> None:
    missing = [key for key in expected if key not in state]
    unknown = [key for key in state if key not in expected]
    if missing or unknown:
        parts = [f"{len(missing)} keys are missing: {_few(missing)}"] if missing else []
        parts += [f"{len(unknown)} keys are unknown: {_few(unknown)}"] if unknown else []
        raise _does_not_fit(path, "; ".join(parts))
    for key, tensor in state.items():
        shape, wanted = tuple(tensor.shape), tuple(expected[key].shape)
        if shape != wanted:
            raise _does_not_fit(path, f"{key} has the shape {shape}, and the model's has {wanted}")
        if tensor.layout != torch.strided or tensor.dtype.is_complex:
            raise _does_not_fit(path, f"{key} is not a dense tensor of real numbers")
        if not torch.isfinite(tensor).all():
            raise _does_not_fit(path, f"{key} holds values that are not finite")


def _few(keys: list[str], most: int = 4) -> str:
    rest = len(keys) - most
    return ", ".join(keys[:most]) + (f" and {rest} more" if rest > 0 else "")


def _not_a_checkpoint(path: Path, why: str) -> UsageError:
    return UsageError(
        f"{path} is not a checkpoint",
        why=why,
        fix="Give a .pth, .pt or .safetensors file of the model's state dict",
    )


def _does_not_fit(path: Path, why: str) -> UsageError:
    return UsageError(
        f"The checkpoint {path} does not fit the model", why=why, fix="Give this model's own"
    )
