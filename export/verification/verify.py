"""Verify an artifact on disk, perhaps a stranger's, from its manifest alone."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lightmobile.errors import UsageError
from lightmobile.export.calibration import PHOTOS, Calibration, CalibrationImages
from lightmobile.export.manifest import Manifest, Parity
from lightmobile.export.quantization.layers import LayerError
from lightmobile.export.verification.remake import remake, remake_job
from lightmobile.export.verification.sandbox import run_limited
from lightmobile.export.verification.trust import believable_manifest, hash_matches, limits_for

__all__ = ["Verification", "rank_layers", "verify"]

# As many as rank the layers in a search; with them, what an evaluation of so many images takes.
_IMAGES = 16
_LAYERS_TIMES = 200


@dataclass(frozen=True)
class Verification:
    """A passed verification.

    Attributes
    ----------
    hash_ok
        The file is the one that the manifest was written for; False only if that was not required.
    """

    path: Path
    manifest: Manifest
    parity: Parity
    hash_ok: bool

    def to_dict(self) -> dict[str, Any]:
        """Return what ``lightmobile verify --json`` prints."""
        return {
            "path": str(self.path),
            "model": self.manifest.model,
            "target": self.manifest.target,
            "backend": self.manifest.backend,
            "precision": self.manifest.precision,
            "hash_ok": self.hash_ok,
            "parity": self.parity.model_dump(),
        }


def verify(
    artifact: str | Path,
    *,
    checkpoint: str | Path | None = None,
    model: str | None = None,
    ignore_hash: bool = False,
    min_sqnr: float | None = None,
) -> Verification:
    """Prove that `artifact` computes what its PyTorch model computes.

    The weights are made again from the manifest, and everything that reads the artifact happens
    in a limited child process.

    Parameters
    ----------
    artifact
        A file or folder that `export` wrote, its manifest beside it.
    checkpoint
        The weights it was exported from, where it was exported from any.
    model
        Its ``package.module:function``, where it was exported from one. Code is run because you
        name it, never because a manifest does.
    ignore_hash
        Judge by the numbers alone.
    min_sqnr
        What a quantized artifact has to keep, in dB, instead of its precision's bar: a manifest
        does not lower it by itself.

    Raises
    ------
    VerificationError
        The hash, the weights or a figure is not as it should be, or the artifact cannot be read.
    UsageError
        The artifact or its manifest is missing or no such thing, or the checkpoint is wrong.
    """
    path = Path(artifact).absolute()
    manifest = believable_manifest(path)
    if min_sqnr is not None and manifest.quantization is None:
        raise UsageError(f"{manifest.file} is not quantized", fix="Leave --min-sqnr out")
    job = remake_job(manifest, checkpoint, model) | {"artifact": str(path), "min_sqnr": min_sqnr}
    hash_ok = hash_matches(path, manifest, required=not ignore_hash)
    limits = limits_for(path, manifest)
    parity = run_limited(f"{__name__}:prove", job, limits, path.name)
    return Verification(path, manifest, Parity.model_validate(parity), hash_ok)


def rank_layers(
    artifact: str | Path,
    *,
    checkpoint: str | Path | None = None,
    model: str | None = None,
    calibration: str | Path = PHOTOS,
) -> list[LayerError]:
    """Tell what each layer of a quantized artifact costs alone, the dearest first.

    Simulated in PyTorch, see `lightmobile.export.quantization.sensitivity`; so it also explains
    an artifact that `verify` refuses.

    Parameters
    ----------
    artifact, checkpoint, model
        As `verify` takes them.
    calibration
        What it was calibrated with: ``photos``, or a folder of images.

    Raises
    ------
    UsageError
        The artifact is not quantized, or as for `verify`.
    """
    path = Path(artifact).absolute()
    manifest = believable_manifest(path)
    if manifest.quantization is None:
        raise UsageError(
            f"{manifest.file} is not quantized",
            why="Its layers lose nothing",
            fix="Leave --layers out",
        )
    job = remake_job(manifest, checkpoint, model)
    shown = manifest.quantization.calibration
    if shown:
        job["calibration"] = asdict(Calibration.of(calibration, shown.samples, shown.seed))
    # The model runs once for each of its layers.
    limits = limits_for(path, manifest, images=_LAYERS_TIMES)
    errors = run_limited(f"{__name__}:rank", job, limits, path.name)["layers"]
    return [LayerError(**error) for error in errors]


def prove(job: dict[str, Any]) -> dict[str, Any]:
    """Do the work of `verify`, in the child."""
    from lightmobile.export.verification.parity import check, comparable_weights
    from lightmobile.export.verification.reference import make_reference
    from lightmobile.models.bridges.constants import computed_constants

    manifest = Manifest.model_validate(job["manifest"])
    prepared = remake(job, manifest)
    reference = make_reference(
        prepared.training, prepared.deployed, prepared.facts, manifest.input_size
    )
    weights = comparable_weights(manifest, prepared.deployed)
    computed = computed_constants(prepared.deployed)
    artifact = Path(job["artifact"])
    return check(artifact, manifest, reference, weights, computed, job["min_sqnr"]).model_dump()


def rank(job: dict[str, Any]) -> dict[str, Any]:
    """Do the work of `rank_layers`, in the child."""
    from lightmobile.export.quantization.sensitivity import layer_errors
    from lightmobile.models.photographs import crops
    from lightmobile.models.preprocessing import preprocess

    manifest = Manifest.model_validate(job["manifest"])
    prepared = remake(job, manifest)
    recipe = manifest.preprocessing.recipe()
    images = preprocess(crops(_IMAGES, manifest.input_size), recipe)
    calibration = job.get("calibration")
    shown = CalibrationImages(Calibration(**calibration), recipe, batch=8) if calibration else ()
    errors = layer_errors(prepared.deployed, manifest.precision, images, shown)
    return {"layers": [error.to_dict() for error in errors]}
