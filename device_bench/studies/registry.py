"""The studies by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lightmobile import plugins
from lightmobile.device_bench.findings import Findings
from lightmobile.device_bench.results import Result
from lightmobile.device_bench.roofline.model_study import STUDY as MODELS
from lightmobile.device_bench.roofline.model_study import model_findings
from lightmobile.device_bench.roofline.operator_study import STUDY as OPERATORS
from lightmobile.device_bench.roofline.operator_study import operator_findings
from lightmobile.device_bench.studies import (
    activations,
    conv_approximation,
    depth_vs_width,
    fasternet_claims,
    fusion_pays,
    hetconv_p,
    kernel_importance,
    pconv_vs_dwconv,
    scaled_vs_searched,
    scaling_strategies,
    series_activation,
    spatial_operator,
)
from lightmobile.device_bench.studies.study import AnyStudy, Study, findings
from lightmobile.errors import UsageError

__all__ = ["findings_of", "list_studies", "study"]

_STUDIES: dict[str, AnyStudy] = {
    each.name: each
    for each in (
        pconv_vs_dwconv.STUDY,
        spatial_operator.STUDY,
        fasternet_claims.STUDY,
        activations.STUDY,
        scaling_strategies.STUDY,
        scaled_vs_searched.STUDY,
        fusion_pays.STUDY,
        hetconv_p.STUDY,
        series_activation.STUDY,
        depth_vs_width.STUDY,
        kernel_importance.STUDY,
        conv_approximation.STUDY,
    )
}
_OF_THE_DEVICE: dict[str, Callable[[Sequence[Result]], Findings]] = {
    OPERATORS: operator_findings,
    MODELS: model_findings,
}


def list_studies() -> list[AnyStudy]:
    """Return every study, those that measure latencies first."""
    return list(_STUDIES.values())


def study(name: str) -> AnyStudy:
    """Return the study called `name`.

    Raises
    ------
    UsageError
        There is none, and the message suggests the nearest.
    """
    if name not in _STUDIES:
        raise UsageError(
            f"There is no study {name!r}",
            fix=f"Did you mean {plugins.suggest(name.lower(), _STUDIES)}? `lightmobile study` "
            "lists them all",
        )
    return _STUDIES[name]


def findings_of(results: Sequence[Result]) -> Findings | None:
    """Return what the results of one session found; None where it was no experiment of ours.

    It depends on the results alone, so whoever has the store can derive it again.
    """
    if not results:
        return None
    name = results[0].session.study
    if name in _OF_THE_DEVICE:
        return _OF_THE_DEVICE[name](results)
    asked = _STUDIES.get(name)
    return findings(asked, results) if isinstance(asked, Study) else None
