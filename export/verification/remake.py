"""The model of a manifest, made again: what an artifact is compared with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightmobile.errors import UsageError, VerificationError
from lightmobile.export.manifest import Manifest
from lightmobile.models.bridges.function import also_search, is_function, search_path

if TYPE_CHECKING:
    from lightmobile.models.prepared import Prepared

__all__ = ["remake", "remake_job"]


def remake_job(
    manifest: Manifest, checkpoint: str | Path | None, model: str | None
) -> dict[str, Any]:
    """Return what `remake` needs, as JSON can hold it.

    Parameters
    ----------
    checkpoint
        The file with the weights, where `manifest` tells of one.
    model
        The model's name, as the user gave it; code of the user's own runs only if they did.

    Raises
    ------
    UsageError
        The checkpoint is missing or needless, or the user has not named the model.
    """
    _require_consent(manifest, model)
    _require_checkpoint(manifest, checkpoint)
    return {
        "manifest": manifest.model_dump(mode="json", by_alias=True),
        "checkpoint": str(Path(checkpoint).absolute()) if checkpoint else None,
        "search_path": search_path(manifest.model),
    }


def remake(job: dict[str, Any], manifest: Manifest) -> Prepared:
    """Return the model of a manifest, with the very weights that the artifact was made from.

    Raises
    ------
    UsageError
        It cannot be built, or this is not its checkpoint.
    VerificationError
        Its weights are others than the manifest's.
    """
    from lightmobile.models.prepared import prepare

    also_search(job["search_path"])
    try:
        prepared = prepare(
            manifest.model,
            checkpoint=job["checkpoint"],
            untrained=manifest.weights.source == "untrained",
            seed=manifest.weights.seed or 0,
            input_size=manifest.input_size,
            overrides=manifest.overrides,
        )
    except (ArithmeticError, MemoryError, RuntimeError) as error:  # of absurd options
        raise UsageError(
            f"The model of {manifest.file}'s manifest cannot be built",
            why=f"{type(error).__name__}: {error}",
            fix="Export the model again",
        ) from error
    if prepared.weights["sha256"] != manifest.weights.sha256:
        raise _other_weights(manifest)
    return prepared


def _require_consent(manifest: Manifest, model: str | None) -> None:
    """Let a manifest name code to run only if the user has named the same."""
    if model is not None and model != manifest.model:
        raise UsageError(
            f"{manifest.file} was exported from another model",
            why=f"Its manifest says {manifest.model!r}",
        )
    if model is None and is_function(manifest.model):
        raise UsageError(
            f"{manifest.file} was exported from somebody's own code",
            why="Verifying it runs that code, and a manifest's word is not enough for that",
            fix=f"If you trust it, name it: --model {manifest.model}",
        )


def _require_checkpoint(manifest: Manifest, checkpoint: str | Path | None) -> None:
    if manifest.weights.source == "checkpoint" and checkpoint is None:
        raise UsageError(
            f"{manifest.file} was exported from a checkpoint",
            why="Without it there is nothing to compare with",
            fix=f"Give it with --checkpoint: it was called {manifest.weights.checkpoint!r}",
        )
    if manifest.weights.source != "checkpoint" and checkpoint is not None:
        raise UsageError(f"{manifest.file} was exported from none", fix="Leave --checkpoint out")


def _other_weights(manifest: Manifest) -> VerificationError | UsageError:
    if manifest.weights.source == "checkpoint":
        return UsageError(
            f"{manifest.file} was not exported from this checkpoint",
            why="The weights' SHA-256 in the manifest is another",
            fix=f"Give the one that was called {manifest.weights.checkpoint!r}",
        )
    if manifest.weights.source == "module":
        return VerificationError(
            f"{manifest.model} does not bring the weights that {manifest.file} was exported with",
            why="The weights' SHA-256 in the manifest is another: the code or its data was changed",
            fix="Export the model again",
        )
    return VerificationError(
        f"The untrained weights of {manifest.file} cannot be made again",
        why="The weights' SHA-256 in the manifest is another: it was changed, or another version "
        "of lightmobile wrote it",
        fix="Export the model again",
    )
