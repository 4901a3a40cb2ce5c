"""What PyTorch answers to an artifact's inputs, for runners that are elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightmobile.errors import UsageError
from lightmobile.export.manifest import Manifest
from lightmobile.export.verification.remake import remake, remake_job
from lightmobile.export.verification.sandbox import run_limited
from lightmobile.export.verification.trust import believable_manifest, limits_for

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["pytorch_answers"]


def pytorch_answers(
    artifact: Path, inputs: Path, folder: Path, *, model: str | None = None
) -> list[NDArray[np.float32]]:
    """Return the outputs of the PyTorch model of `artifact`, in the order of the artifact's.

    Parameters
    ----------
    inputs
        The artifact's input, raw and in C order, in the layout that its manifest tells.
    folder
        Where the outputs may be put meanwhile.
    model
        The model's name, as the user gave it: see `verify`.

    Raises
    ------
    UsageError
        The model cannot be made again from the manifest alone, or takes other types than the
        artifact.
    """
    import numpy as np

    manifest = believable_manifest(artifact)
    job = remake_job(manifest, None, model) | {"inputs": str(inputs), "folder": str(folder)}
    if any(each.dtype != "float32" for each in (*manifest.inputs, *manifest.outputs)):
        raise UsageError(
            f"{manifest.file} takes and gives integers",
            why="Its PyTorch model takes and gives floating point",
            fix="Compare with the host's runtime",
        )
    count = run_limited(f"{__name__}:compute", job, limits_for(artifact, manifest), artifact.name)
    return [np.load(folder / f"pytorch-{index}.npy") for index in range(int(count["outputs"]))]


def compute(job: dict[str, Any]) -> dict[str, Any]:
    """Do the work of `pytorch_answers`, in the child."""
    import numpy as np
    import torch

    manifest = Manifest.model_validate(job["manifest"])
    deployed = remake(job, manifest).deployed
    (shape,) = [each.shape for each in manifest.inputs]
    images = np.fromfile(job["inputs"], np.float32).reshape(shape)
    if manifest.layout == "nhwc":
        images = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    with torch.inference_mode():
        outputs = deployed(torch.from_numpy(images))
    outputs = outputs if isinstance(outputs, tuple | list) else (outputs,)
    for index, output in enumerate(outputs):
        np.save(Path(job["folder"]) / f"pytorch-{index}.npy", output.numpy())
    return {"outputs": len(outputs)}
