"""The rooflines of a session, and the bandwidths behind them, as charts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from lightmobile.device_bench.findings import Chart, Point, Series
from lightmobile.device_bench.roofline.ceilings import conditions_of
from lightmobile.device_bench.roofline.operators import size_of, title_of

if TYPE_CHECKING:
    from lightmobile.device_bench.results import Result
    from lightmobile.device_bench.roofline.ceilings import Ceilings, Conditions

__all__ = ["bandwidth_chart", "roofline_charts"]

_LEAST_SPAN = (0.05, 200.0)


def roofline_charts(
    results: Sequence[Result], ceilings: Mapping[Conditions, Ceilings]
) -> Iterator[Chart]:
    """Yield a roofline for each precision and number of threads."""
    for conditions, above in ceilings.items():
        shown = [each for each in results if conditions_of(each) == conditions]
        points = list(_points(shown))
        if points and above.compute is not None and above.levels:
            xs = [point.x for point in points]
            span = (min(_LEAST_SPAN[0], *xs) / 2, max(_LEAST_SPAN[1], *xs) * 2)
            runtimes = dict.fromkeys(each.configuration.runtime for each in shown)
            yield Chart(
                title=f"Roofline, {_title(conditions)}",
                x="MACs a byte of ideal traffic",
                y="GFLOPS",
                series=(
                    *_roofs(above, span),
                    *(
                        Series(runtime, "points", tuple(_points(shown, runtime)))
                        for runtime in runtimes
                    ),
                ),
                x_log=True,
                y_log=True,
            )


def bandwidth_chart(ceilings: Mapping[Conditions, Ceilings]) -> Iterator[Chart]:
    """Yield the bandwidth by working set, as each runtime reached it."""
    for conditions, above in ceilings.items():
        groups: dict[str, list[Point]] = {}
        for level in above.levels:
            name = f"{level.resource}, {level.result.configuration.runtime}"
            ci95 = level.result.latency.ci95
            moved = level.per_second * level.result.latency.median / 1e9
            groups.setdefault(name, []).append(
                Point(
                    x=level.bytes / 1e3,
                    y=level.per_second / 1e9,
                    low=moved / ci95.high if ci95.high else None,
                    high=moved / ci95.low if ci95.low else None,
                    label=f"{level.bytes / 1e3:,.0f} KB",
                    results=(level.result.id,),
                )
            )
        if groups:
            yield Chart(
                title=f"Bandwidth by working set, {_title(conditions)}",
                x="working set, KB",
                y="GB/s",
                series=tuple(Series(name, "line", tuple(each)) for name, each in groups.items()),
                x_log=True,
                y_log=True,
            )


def _title(conditions: Conditions) -> str:
    precision, threads, cores, _ = conditions
    words = [
        precision,
        f"{threads} thread(s)" if threads else "",
        f"{cores} cores" if cores else "",
    ]
    return ", ".join(filter(None, words))


def _roofs(above: Ceilings, span: tuple[float, float]) -> Iterator[Series]:
    """Yield the roof of the smallest and the largest working set: caches, and memory."""
    assert above.compute is not None  # noqa: S101 - the caller looked
    peak = above.macs_per_second / 1e9
    fastest = max(above.levels, key=lambda level: level.per_second)
    largest = above.levels[-1]
    for level in dict.fromkeys((fastest.bytes, largest.bytes)):
        chosen = above.level(level)
        if chosen is None:
            continue
        slope = chosen.per_second / 1e9
        ridge = peak / slope
        sources = (above.compute.id, chosen.result.id)
        corners = [x for x in (span[0], ridge, span[1]) if span[0] <= x <= span[1]]
        yield Series(
            f"roof of {level / 1e3:,.0f} KB ({slope:.3g} GB/s)",
            "line",
            tuple(Point(x, min(peak, slope * x), results=sources) for x in corners),
        )


def _points(results: Iterable[Result], runtime: str | None = None) -> Iterator[Point]:
    for result in results:
        ran = result.configuration
        if ran.facts is None or ran.facts.cost is None or runtime not in (None, ran.runtime):
            continue
        cost, found = ran.facts.cost, result.latency
        ideal = cost.ideal_bytes
        if not (ideal and cost.macs):
            continue
        is_operator = ran.model.startswith("op:")
        yield Point(
            x=cost.macs / ideal,
            y=cost.macs / found.median,
            low=cost.macs / found.ci95.high if found.ci95.high else None,
            high=cost.macs / found.ci95.low if found.ci95.low else None,
            label=f"{title_of(ran.model)} {size_of(ran.model)}" if is_operator else ran.model,
            results=(result.id,),
        )
