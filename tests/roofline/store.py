"""A session of operators whose figures are round, so that every bound can be worked out by hand."""

from __future__ import annotations

from dataclasses import dataclass

from lightmobile.device_bench.results import Result, results_of
from lightmobile.device_bench.schema import ArtifactFacts, Configuration, Cost, Line, Slice
from tests.device_bench.lines import process, session, slice_


@dataclass(frozen=True)
class Measured:
    """A model, what it costs, and its latency in microseconds, by round."""

    model: str
    macs: int = 0
    activation_bytes: int = 0
    weight_bytes: int = 0
    working_set_bytes: int = 0
    micros: tuple[float, ...] = (100.0,) * 4
    runtime: str = "executorch"


def results(*measured: Measured, study: str = "bench-ops", **changes: object) -> list[Result]:
    plan: list[Configuration] = []
    lines: list[Line] = []
    for number, each in enumerate(measured):
        cost = Cost(
            macs=each.macs,
            params=each.weight_bytes // 4,
            activations=each.activation_bytes // 8,
            activation_bytes=each.activation_bytes,
            weight_bytes=each.weight_bytes,
            lowered_bytes=2 * (each.activation_bytes + each.weight_bytes),
            working_set_bytes=each.working_set_bytes or each.activation_bytes,
        )
        facts = {"precision": "fp32", "threads": 1, "backend": "xnnpack", **changes}
        plan.append(
            Configuration(
                result=f"r{number}",
                model=each.model,
                runtime=each.runtime,
                facts=ArtifactFacts(file_bytes=1, cost=cost),
                **facts,
            )
        )
        lines += [process(index, result=f"r{number}") for index in range(len(each.micros))]
        lines += [_slice(number, index, micros) for index, micros in enumerate(each.micros)]
    return results_of([session(*plan, study=study), *lines])


def _slice(number: int, index: int, micros: float) -> Slice:
    return slice_(index, [round(micros * 1000)] * 3, process=index, result=f"r{number}")
