"""What PyTorch answers: the inputs and outputs that every artifact of a model is held against.

Counts. Top-1 agreement needs enough photographs to be a share of something: 64 random crops of
the two photographs. Their outputs also give the signal of the SQNR. 16 images of seeded noise are
enough for the errors that need no statistics (maximum and relative L2): a wrong operator is wrong
on every one of them. Deployed against training form is a matter of one algebraic identity a
layer, for which 8 crops do. For FasterNet-T0 that makes 88 forward passes, about 2 s on one core.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lightmobile.errors import UsageError, VerificationError
from lightmobile.export.verification.metrics import BARS, rel_l2, variation

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import nn

    from lightmobile.models.registry import ModelFacts

    Images = NDArray[np.float32]
    Outputs = tuple[NDArray[np.float32], ...]

__all__ = ["Reference", "make_reference"]

SEEDED = 16
PHOTOGRAPHS = 64
TRAINING = 8
# Images a forward pass: larger groups gain no speed on a CPU and cost memory.
GROUP = 8
# Below this share of its norm, an output counts as the same for every input: an error of 1e-5 of
# the norm (the bar of fp32) would already be a thousandth of what varies.
LEAST_VARIATION = 1e-2


@dataclass(frozen=True)
class Reference:
    """Inputs, and the deployed PyTorch module's outputs for them.

    Attributes
    ----------
    seeded
        Normal noise from a seed, float32 ``[16, channels, height, width]``.
    photographs
        Preprocessed crops of photographs, float32 ``[64, channels, height, width]``.
    seeded_outputs, photograph_outputs
        The module's outputs, one array ``[images, ...]`` an output.
    training_rel_l2
        Relative L2 error of the deployed against the training form, on photographs.
    """

    seeded: Images
    photographs: Images
    seeded_outputs: Outputs
    photograph_outputs: Outputs
    training_rel_l2: float

    def save(self, path: Path) -> None:
        """Write a safetensors file."""
        from safetensors.numpy import save_file

        tensors = {"seeded": self.seeded, "photographs": self.photographs}
        for kind, outputs in (
            ("seeded", self.seeded_outputs),
            ("photographs", self.photograph_outputs),
        ):
            tensors |= {f"{kind}.{index}": output for index, output in enumerate(outputs)}
        tensors = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
        save_file(tensors, path, {"training_rel_l2": json.dumps(self.training_rel_l2)})

    @classmethod
    def load(cls, path: Path) -> Reference:
        """Read what `save` wrote.

        Raises
        ------
        UsageError
            The file is unreadable or no reference.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="numpy") as file:
                names = sorted(file.keys())
                tensors = {name: file.get_tensor(name) for name in names}
                training_rel_l2 = float(json.loads(file.metadata()["training_rel_l2"]))
            return cls(
                tensors["seeded"],
                tensors["photographs"],
                tuple(tensors[name] for name in names if name.startswith("seeded.")),
                tuple(tensors[name] for name in names if name.startswith("photographs.")),
                training_rel_l2,
            )
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise UsageError(
                f"{path.name} is not a reference", why=f"{type(error).__name__}: {error}"
            ) from None


def make_reference(
    training: nn.Module,
    deployed: nn.Module,
    facts: ModelFacts,
    input_size: tuple[int, int] | None = None,
    seed: int = 0,
) -> Reference:
    """Run the deployed module on seeded noise and on crops of photographs.

    Parameters
    ----------
    training, deployed
        The two forms of the model, both in eval mode.
    facts
        The model's facts; its preprocessing turns photographs into inputs.
    input_size
        Height and width in pixels; the facts' own where None.
    seed
        Of the noise and of the crops.

    Raises
    ------
    VerificationError
        The outputs are not finite or hardly differ between photographs, so that a comparison
        with them would prove nothing, or the two forms of the model disagree.
    UsageError
        The package with the photographs is missing.
    """
    from lightmobile.models.photographs import crops
    from lightmobile.models.preprocessing import preprocess

    height, width = input_size or facts.input_size
    seeded = np.random.Generator(np.random.PCG64(seed)).standard_normal(
        (SEEDED, facts.preprocessing.channels, height, width), np.float32
    )
    photographs = preprocess(crops(PHOTOGRAPHS, (height, width), seed), facts.preprocessing)
    reference = Reference(
        seeded,
        photographs,
        _run(deployed, seeded),
        _run(deployed, photographs),
        _training_error(training, deployed, photographs[:TRAINING]),
    )
    _require_information(facts.name, reference)
    return reference


def _run(module: nn.Module, images: Images) -> Outputs:
    import torch

    groups: list[tuple[Any, ...]] = []
    with torch.inference_mode():
        for start in range(0, len(images), GROUP):
            output = module(torch.from_numpy(images[start : start + GROUP]))
            groups.append(output if isinstance(output, tuple) else (output,))
        return tuple(torch.cat(parts).numpy() for parts in zip(*groups, strict=True))


def _training_error(training: nn.Module, deployed: nn.Module, images: Images) -> float:
    pairs = zip(_run(training, images), _run(deployed, images), strict=True)
    return max(rel_l2(form, other) for form, other in pairs)


def _require_information(name: str, reference: Reference) -> None:
    outputs = (*reference.seeded_outputs, *reference.photograph_outputs)
    if not all(np.isfinite(output).all() for output in outputs):
        raise VerificationError(
            f"{name} answers numbers that are not finite",
            why="A comparison with NaN or infinity proves nothing",
            fix="Give a sound checkpoint",
        )
    least = min(variation(output) for output in reference.photograph_outputs)
    if least < LEAST_VARIATION:
        raise VerificationError(
            f"{name} answers nearly the same for every photograph",
            why=f"{least:.2g} of its output varies; below {LEAST_VARIATION:g} a comparison "
            "proves nothing",
            fix="Give a trained checkpoint, or --untrained: such weights are made to vary",
        )
    if not reference.training_rel_l2 <= BARS["fp32"].rel_l2:
        raise VerificationError(
            f"The deployed form of {name} does not compute what its training form computes",
            why=f"Relative L2 error {reference.training_rel_l2:.3g}, "
            f"allowed {BARS['fp32'].rel_l2:g}",
        )
