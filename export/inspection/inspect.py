"""Tell what is in an artifact on disk, perhaps a stranger's, with or without its manifest."""

from __future__ import annotations

import importlib
import warnings
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightmobile.errors import LightmobileWarning, UsageError
from lightmobile.export.artifact import sha256_of, size_of
from lightmobile.export.inspection.contents import Contents, Memory, Value, Weights
from lightmobile.export.inspection.pictures import picture_commands
from lightmobile.export.manifest import Manifest, Placement, manifest_path
from lightmobile.export.spec import TARGETS
from lightmobile.export.verification.blame import blaming
from lightmobile.export.verification.sandbox import Limits, run_limited
from lightmobile.export.verification.trust import believable_manifest

if TYPE_CHECKING:
    from lightmobile.export.manifest import Tensor

__all__ = ["Inspection", "inspect"]

_READERS = {"executorch": "pte", "tflite": "tflite", "coreml": "mlpackage"}
_MAGIC = {b"ET12": "executorch", b"TFL3": "tflite"}


@dataclass(frozen=True)
class Inspection:
    """What is in an artifact, and what its manifest adds.

    Attributes
    ----------
    bytes
        Size of the file, or of all files of the folder.
    hash_ok
        Whether it is the file that its manifest was written for; None where there is no manifest.
        Only of such a file anything is taken from the manifest.
    model, precision
        Known from the manifest alone.
    placements
        The manifest's where it has any, else what the file tells.
    memory
        For activations.
    pictures
        Commands that draw its graph.
    """

    path: Path
    bytes: int
    sha256: str
    hash_ok: bool | None
    model: str | None
    target: str
    backend: str
    precision: str | None
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    placements: tuple[Placement, ...]
    weights: tuple[Weights, ...]
    memory: Memory
    pictures: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return what ``lightmobile inspect --json`` prints."""
        return asdict(self) | {
            "path": str(self.path),
            "placements": [placement.model_dump() for placement in self.placements],
        }


def inspect(artifact: str | Path) -> Inspection:
    """Tell what is in `artifact`, which is read in a limited child process and never run.

    Parameters
    ----------
    artifact
        A ``.pte``, ``.tflite`` or ``.mlpackage``, also of another exporter.

    Raises
    ------
    UsageError
        It is missing, or of another kind, or its reader is not installed.
    VerificationError
        It is damaged.
    """
    path = Path(artifact).absolute()
    target = _target(path)
    size, sha256 = size_of(path), sha256_of(path)
    # Unpacking a Core ML model from its delegate writes a copy of it.
    limits = Limits(60 + size / 1e6, file_bytes=size + (64 << 20))
    job = {"artifact": str(path), "target": target}
    contents = Contents.from_dict(run_limited(f"{__name__}:read", job, limits, path.name))
    manifest = _manifest(path)
    hash_ok = manifest.file_sha256 == sha256 if manifest else None
    known = manifest if hash_ok else None
    backend = known.backend if known else contents.backend
    return Inspection(
        path=path,
        bytes=size,
        sha256=sha256,
        hash_ok=hash_ok,
        model=known.model if known else None,
        target=target,
        backend=backend,
        precision=known.precision if known else None,
        inputs=_described(contents.inputs, known.inputs if known else ()),
        outputs=_described(contents.outputs, known.outputs if known else ()),
        placements=(known.placements if known else ()) or contents.placements,
        weights=contents.weights,
        memory=contents.memory,
        pictures=picture_commands(Path(artifact), target, backend),
    )


def read(job: dict[str, Any]) -> dict[str, Any]:
    """Do the work of `inspect`, in the child."""
    path = Path(job["artifact"])
    with blaming(path, "read"):
        reader = importlib.import_module(f"{__package__}.{_READERS[job['target']]}")
        contents: Contents = reader.read(path)
    return contents.to_dict()


def _target(path: Path) -> str:
    """Return the target whose kind of file `path` is, by its first bytes or by its name."""
    if not (path.is_file() or path.is_dir()):  # A pipe or a device would be read for ever.
        raise UsageError(f"There is no artifact at {path}", fix="Give a file that was exported")
    if path.is_file():
        with path.open("rb") as file:
            magic = file.read(8)[4:]
        if magic in _MAGIC:
            return _MAGIC[magic]
    for name in _READERS:
        if path.suffix == TARGETS[name].suffix and path.is_dir() == (name == "coreml"):
            return name
    raise UsageError(
        f"{path.name} is of no kind that can be read here",
        fix=f"Give a {', '.join(TARGETS[name].suffix for name in _READERS)}",
    )


def _manifest(path: Path) -> Manifest | None:
    """Return the manifest beside `path`; a file without one is as good."""
    if not manifest_path(path).exists():
        return None
    try:
        return believable_manifest(path)
    except UsageError as error:
        warnings.warn(f"The manifest was left aside. {error}", LightmobileWarning, stacklevel=3)
        return None


def _described(values: tuple[Value, ...], told: tuple[Tensor, ...]) -> tuple[Value, ...]:
    """Add what the manifest tells of `values`: the names of a ``.pte``'s, and layouts."""
    if len(values) != len(told):
        return values
    return tuple(
        replace(value, name=tensor.name, layout=tensor.layout)
        for value, tensor in zip(values, told, strict=True)
    )
