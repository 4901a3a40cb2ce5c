"""What a session tells a worker: the job at once, then its inputs as they come to be."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from lightmobile.export.calibration import Calibration
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
    calibration
        The images that calibrate, where the precision wants any.
    require_full_delegation
        Whether an operator that its delegate leaves is an error.
    """

    model: str
    overrides: dict[str, Any]
    spec: ExportSpec
    name: str
    input_size: tuple[int, int]
    preprocessing: dict[str, Any]
    output_dir: str
    search_path: list[str]
    calibration: Calibration | None = None
    require_full_delegation: bool = False

    def to_json(self) -> str:
        """Return one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> Job:
        """Return the job of `to_json`."""
        fields = json.loads(line)
        spec, calibration = fields.pop("spec"), fields.pop("calibration")
        return cls(
            **_tuples(fields),
            spec=ExportSpec(**_tuples(spec)),
            calibration=Calibration(**_tuples(calibration)) if calibration else None,
        )


def _tuples(fields: dict[str, Any]) -> dict[str, Any]:
    # JSON knows lists only; the search path is one.
    return {
        name: tuple(value) if isinstance(value, list) and name != "search_path" else value
        for name, value in fields.items()
    }
