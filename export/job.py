"""What a session tells a worker: the job at once, then its inputs as they come to be."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from lightmobile.export.spec import ExportSpec

__all__ = ["Job"]


@dataclass(frozen=True)
class Job:
    """One artifact to make.

    Attributes
    ----------
    name
        File name of the artifact.
    input_size
        Height and width in pixels, also where the spec leaves them to the model.
    preprocessing
        The fields of the manifest's `Preprocessing`.
    output_dir
        Where the artifact will lie in the end; errors name it.
    search_path
        Where the modules of a user's model are, see `lightmobile.models.bridges.function`.
    """

    model: str
    overrides: dict[str, Any]
    spec: ExportSpec
    name: str
    input_size: tuple[int, int]
    preprocessing: dict[str, Any]
    output_dir: str
    search_path: list[str]

    def to_json(self) -> str:
        """Return one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> Job:
        """Return the job of `to_json`."""
        fields = json.loads(line)
        spec = fields.pop("spec")
        if spec["input_size"]:
            spec["input_size"] = tuple(spec["input_size"])
        return cls(
            **fields | {"spec": ExportSpec(**spec), "input_size": tuple(fields["input_size"])}
        )
