"""A model ready for export: both its forms, with weights, and where those came from."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from lightmobile.errors import UsageError
from lightmobile.models.bridges.foreign import Foreign
from lightmobile.models.bridges.function import is_function
from lightmobile.models.checkpoints import load_checkpoint
from lightmobile.models.fusion import fuse
from lightmobile.models.hub import Download
from lightmobile.models.registry import ModelFacts, build, model_info
from lightmobile.models.threads import one_thread
from lightmobile.models.untrained import initialize

__all__ = ["Prepared", "load_deployed", "prepare", "save_deployed", "weights_sha256"]

_CONTIGUOUS = torch.contiguous_format


@dataclass(frozen=True)
class Prepared:
    """A model in both forms, with weights, in evaluation mode.

    Attributes
    ----------
    facts
        At the input size asked for.
    weights
        Where they came from: the fields of the manifest's ``WeightSource``.
    """

    name: str
    overrides: dict[str, Any]
    facts: ModelFacts
    training: nn.Module
    deployed: nn.Module
    weights: dict[str, Any]


def prepare(
    name: str,
    *,
    checkpoint: str | Path | Download | None = None,
    untrained: bool = False,
    seed: int = 0,
    input_size: tuple[int, int] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Prepared:
    """Build model `name` with the weights of `checkpoint`, or with untrained ones.

    Parameters
    ----------
    untrained
        Make weights also for a ``package.module:function``, which brings its own.
    seed
        Of the untrained weights, which depend on `input_size` too: see `untrained`. A user's
        function finds torch's random numbers seeded with it.
    input_size
        Height and width in pixels; the model's own where None.
    overrides
        Options of `create_model`.

    Raises
    ------
    UsageError
        Unknown model or option, an input too small, or a checkpoint that does not fit.
    """
    options = dict(overrides or {})
    facts = model_info(name).at(input_size)
    if seed < 0:
        raise UsageError(f"The seed {seed} is negative", fix="Give 0 or more")
    with one_thread():
        with torch.device("meta"):
            training = build(name, options, input_size=facts.input_size, seed=seed).eval()
        if isinstance(training, Foreign):
            training.check()
        elif input_size is not None:
            _check_input_size(training, facts)
        if checkpoint is not None:
            origin = _load(training, checkpoint)
        elif is_function(name) and not untrained:
            origin = {"source": "module", "seed": seed}
        else:
            initialize(training, facts, seed)
            origin = {"source": "untrained", "seed": seed}
        deployed = fuse(training)
    origin["sha256"] = weights_sha256(deployed.state_dict())
    return Prepared(name, options, facts, training, deployed, origin)


def save_deployed(prepared: Prepared, path: Path) -> None:
    """Write the deployed weights to a ``.safetensors`` file, whole or not at all.

    Raises
    ------
    UsageError
        The file cannot be written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    state = prepared.deployed.state_dict()
    if isinstance(prepared.deployed, Foreign):  # its tensors may share memory, or have gaps
        state = {key: tensor.clone(memory_format=_CONTIGUOUS) for key, tensor in state.items()}
    try:
        save_file(state, partial)
        partial.replace(path)
    except (OSError, SafetensorError) as error:
        raise UsageError(f"{path} cannot be written", why=str(error)) from None
    finally:
        partial.unlink(missing_ok=True)


def load_deployed(
    name: str,
    overrides: Mapping[str, Any],
    path: Path,
    *,
    input_size: tuple[int, int] | None = None,
    seed: int = 0,
) -> nn.Module:
    """Build the deployed form over the weights of `save_deployed`, mapped from the file.

    `input_size` and `seed` are those of `prepare`; networks from a bridge depend on them.
    """
    with torch.device("meta"):
        deployed = fuse(build(name, dict(overrides), input_size=input_size, seed=seed))
    deployed.load_state_dict(load_file(path), assign=True)
    return deployed


def weights_sha256(state: Mapping[str, torch.Tensor]) -> str:
    """Return the SHA-256 over the names, types, shapes and bytes of tensors, in order of name."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _load(model: nn.Module, checkpoint: str | Path | Download) -> dict[str, Any]:
    """Fill `model`, which may be on the meta device, and return where its weights came from."""
    if isinstance(checkpoint, Download):
        path, name = checkpoint.path, checkpoint.name
    else:
        path = Path(checkpoint)
        name = path.name
    load_checkpoint(model, path)
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return {"source": "checkpoint", "checkpoint": name, "checkpoint_sha256": sha256}


def _check_input_size(model: nn.Module, facts: ModelFacts) -> None:
    height, width = facts.input_size
    try:
        model(torch.empty(1, facts.preprocessing.channels, height, width, device="meta"))
    except RuntimeError as error:
        raise UsageError(
            f"{facts.name} cannot take an input of {height}x{width}",
            why=str(error),
            fix=f"Its own is {'x'.join(map(str, model_info(facts.name).input_size))}",
        ) from None
