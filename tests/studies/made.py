"""Results as a study's session would leave them, with latencies of the test's own choice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from lightmobile.device_bench.results import Result, results_of
from lightmobile.device_bench.schema import Line, Memory
from lightmobile.device_bench.schema_artifact import ArtifactFacts, Cost, Placement
from lightmobile.device_bench.studies.measured import Measured, group
from lightmobile.device_bench.studies.registry import study
from lightmobile.device_bench.studies.study import Study
from tests.device_bench.lines import configuration, session, slice_

ROUNDS = 8


def cost(macs: float = 1e9, **changes: Any) -> Cost:
    facts: dict[str, Any] = {"params": 10**6, "activations": 10**6, "activation_bytes": 10**7}
    return Cost(**{"macs": int(macs), "weight_bytes": 4 * 10**6} | facts | changes)


def result_id(part: str, runtime: str = "executorch") -> str:
    return f"{runtime}-{part}".replace("@", "-").replace(":", "-")


def named(name: str) -> Study:
    found = study(name)
    assert isinstance(found, Study)
    return found


def made(
    name: str,
    times_ms: Mapping[str, float] | Callable[[str], float | None],
    *,
    costs: Callable[[str], Cost | None] = lambda _part: cost(),
    kernels: Callable[[str], int] = lambda _part: 1,
    noise: float = 0.002,
    bias: float = 0.0,
    quick: bool = True,
    runtimes: tuple[str, ...] = ("executorch",),
    memory: Mapping[str, int] | None = None,
    **changes: Any,
) -> list[Result]:
    """Return the results of a session of study `name`.

    Parameters
    ----------
    times_ms
        Of each part; a part without one was planned, and not measured.
    noise
        Standard deviation of a slice, and `bias` that of a process, relative.
    """
    parts = named(name).parts(quick)
    wanted = times_ms if callable(times_ms) else times_ms.get
    models: dict[str, str] = {}
    for part, model in parts.items():
        models.setdefault(model, part)
    plan, lines = [], []
    for runtime in runtimes:
        for model, part in models.items():
            result = result_id(part, runtime)
            facts = ArtifactFacts(
                file_bytes=1, cost=costs(part), placement=Placement(delegated=kernels(part))
            )
            plan.append(configuration(result, model=model, runtime=runtime, facts=facts, **changes))
            if (time := wanted(part)) is not None:
                lines += _slices(result, time, noise, bias)
                if memory and part in memory:
                    lines.append(
                        Memory(
                            session="s",
                            result=result,
                            peak_bytes=memory[part],
                            baseline_bytes=0,
                        )
                    )
    return results_of([session(*plan, study=name, quick=quick), *lines])


def _slices(result: str, time_ms: float, noise: float, bias: float) -> list[Line]:
    random = np.random.default_rng(sum(result.encode()))
    drawn = random.standard_normal(ROUNDS // 4)
    # Each process has one that is off as much the other way, so that a ratio of equals straddles 1.
    biases = np.ravel(np.column_stack((drawn, -drawn)))
    lines: list[Line] = []
    for round_ in range(ROUNDS):
        process = round_ // 2
        each = (1 + bias * biases[process]) * (1 + noise * random.standard_normal())
        samples = [int(time_ms * 1e6 * each)] * 3
        lines.append(slice_(round_, samples, process=process, result=result))
    return lines


def measured(name: str, *arguments: Any, quick: bool = True, **changes: Any) -> Measured:
    """Return the first setting of `made`."""
    results = made(name, *arguments, quick=quick, **changes)
    return group(results, named(name).parts(quick))[0]
