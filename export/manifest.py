"""The manifest beside each artifact: what it is, where it came from, how it was proved."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lightmobile.errors import UsageError
from lightmobile.models import preprocessing

__all__ = [
    "CalibrationSource",
    "Cost",
    "Manifest",
    "Parity",
    "Placement",
    "Preprocessing",
    "Quantization",
    "Tensor",
    "WeightSource",
    "manifest_path",
    "read_manifest",
]


class _Part(BaseModel):
    # Unknown keys of a later version are kept, so that an old reader loses nothing.
    model_config = ConfigDict(extra="allow", frozen=True)


class Preprocessing(_Part):
    """How a photograph becomes the model's input."""

    resize: int
    crop: tuple[int, int]
    interpolation: Literal["bilinear", "bicubic"]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    channels: int = Field(default=3, description="of the input; an operator's are features")

    def recipe(self) -> preprocessing.Preprocessing:
        """Return what `lightmobile.models.preprocessing` follows."""
        return preprocessing.Preprocessing(
            self.resize, self.crop, self.interpolation, self.mean, self.std, self.channels
        )


class CalibrationSource(_Part):
    """The images that showed the quantizer the ranges of activations."""

    source: str = Field(description="photos, or the name of a folder")
    samples: int
    seed: int = Field(description="of the choice among more images, or of the photos' crops")
    sha256: str | None = Field(default=None, description="over the folder's chosen files")


class Quantization(_Part):
    """What was rounded to grids laid over it, and what was not."""

    weights: str
    activations: str
    io: str = Field(description="type of the inputs and outputs")
    kept: tuple[str, ...] = Field(description="layers left in floating point")
    calibration: CalibrationSource | None = None


class WeightSource(_Part):
    """Where the weights came from.

    ``untrained`` ones are made anew from their seed; ``module``: a user's function brought them,
    called with torch's random numbers at that seed.
    """

    source: Literal["untrained", "checkpoint", "module"]
    seed: int | None = None
    checkpoint: str | None = None
    checkpoint_sha256: str | None = None
    sha256: str = Field(description="over names, shapes and bytes of the deployed tensors")


class Tensor(_Part):
    """One input or output of the artifact."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    layout: str | None = None


class Placement(_Part):
    """Which operators of the artifact a delegate takes, and why it leaves the others."""

    delegate: str = Field(
        default="", description="xnnpack, vulkan, coreml, qnn, gpu; empty: there is none"
    )
    by: str = Field(
        default="", description="who says so: the exporter, LiteRT on this host, published rules"
    )
    delegated_subgraphs: int
    delegated: dict[str, int] = Field(description="operator name -> count taken by the delegate")
    undelegated: dict[str, int] = Field(description="operator name -> count left to the runtime")
    reasons: dict[str, str] = Field(
        default={}, description="operator name -> why the delegate does not take all of that name"
    )

    @property
    def whole(self) -> bool:
        """Whether there is a delegate and it takes every operator."""
        return bool(self.delegate) and not self.undelegated


class Cost(_Part):
    """What one batch costs, counted in the deployed network: see `lightmobile.models.cost`.

    Bytes are those of the precision's numbers.
    """

    macs: int
    params: int
    activations: int
    activation_bytes: int = Field(description="ideal traffic, weights apart, copies left out")
    weight_bytes: int
    lowered_bytes: int | None = Field(
        default=None, description="traffic of the file's operators, copies counted"
    )
    working_set_bytes: int = Field(description="activations of the operator that touches most")


class Parity(_Part):
    """How close the artifact is to the deployed PyTorch module; see `verification`."""

    method: str = Field(description="what computed the artifact, e.g. executorch, mil-torch")
    max_abs: float
    rel_l2: float
    sqnr_db: float = Field(description="of what varies between inputs, in dB")
    top1_agreement: float | None = Field(default=None, description="none but of logits")
    near_ties: int = Field(description="photograph crops whose two best classes nearly tie")
    samples: int
    weights_compared: int = Field(description="weight tensors found equal in the file")
    training_rel_l2: float = Field(description="deployed against training form, in PyTorch")


class Manifest(_Part):
    """Everything that is known of one artifact."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    model: str
    overrides: dict[str, Any] = {}
    target: str
    backend: str
    precision: str
    input_size: tuple[int, int]
    batch: int
    layout: str
    weights: WeightSource
    preprocessing: Preprocessing
    labels: tuple[str, ...] | None = None
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    file: str
    file_sha256: str = Field(description="of a folder: over its sorted relative paths and hashes")
    file_bytes: int
    versions: dict[str, str]
    why_precision: str
    lowering: dict[str, str] = {}
    quantization: Quantization | None = None
    placements: tuple[Placement, ...] = Field(
        default=(), description="the first is of the backend that the file is made for"
    )
    cost: Cost | None = None
    parity: Parity | None = None

    model_config = ConfigDict(extra="allow", frozen=True, populate_by_name=True)

    def to_json(self) -> str:
        """Return the text of the manifest file."""
        return self.model_dump_json(by_alias=True, indent=2, exclude_none=True) + "\n"


def manifest_path(artifact: Path) -> Path:
    """Return the path of `artifact`'s manifest: ``X.pte`` has ``X.pte.json``."""
    return artifact.with_name(artifact.name + ".json")


def read_manifest(artifact: Path) -> Manifest:
    """Read the manifest beside `artifact`.

    Raises
    ------
    UsageError
        It is absent, unreadable, or not a manifest.
    """
    path = manifest_path(artifact)
    try:
        text = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{artifact.name} has no readable manifest",
            why=f"{path}: {error.strerror}",
            fix="Export the model again, or copy the .json that lay beside the artifact",
        ) from None
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(
            f"{path.name} is not a manifest that this version can read",
            why=f"{where + ': ' if where else ''}{first['msg']}",
            fix="Export the model again",
        ) from None
