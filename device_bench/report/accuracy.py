"""What accuracy was published for the network that was measured, and what is on the front.

The figure is a paper's, of its own weights at its own size. It stands beside a latency only where
the result is of that very network: no option, no scaling, no rounding of its weights to integers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from lightmobile.device_bench.results import Result
from lightmobile.errors import LightmobileError

__all__ = ["front", "published_top1"]

# A registered name; any other (timm's, scaled, with options, a function) is not looked up at all.
_PLAIN = re.compile(r"[a-z0-9_]{1,100}")
_SIZE_IN_NAME = re.compile(r"-(\d+)x(\d+)(?=[-.])")


def published_top1(result: Result) -> tuple[float | str, int | None]:
    """Return the published top-1 accuracy in percent and the number of classes, or why not."""
    run = result.configuration
    published = _published(run.model)
    if published is None:
        return "no published accuracy", None
    top1, classes, input_size = published
    if run.precision not in ("", "fp32", "fp16"):
        return f"{run.precision}: the published accuracy is of floating-point weights", None
    if run.batch != 1:
        return f"batch {run.batch}: not the latency of one image", None
    if _input_size(result) not in (None, input_size):
        return "another input size than the published one", None
    return top1, classes


@cache
def _published(model: str) -> tuple[float, int, tuple[int, int]] | None:
    from lightmobile.models.registry import list_models, model_info

    if not _PLAIN.fullmatch(model):
        return None
    try:
        if model not in list_models(model):
            return None
        facts = model_info(model)
    except LightmobileError:
        return None
    top1 = facts.published.get("top1")
    return None if top1 is None else (float(top1), facts.num_classes, facts.input_size)


def _input_size(result: Result) -> tuple[int, int] | None:
    """Return height and width where the lines tell them: by the manifest, or the file's name."""
    run = result.configuration
    if run.facts and len(run.facts.input_shape) == 4:
        _, first, second, third = run.facts.input_shape
        # Channels come first or last, and there are three of them.
        return (first, second) if third == 3 else (second, third)
    found = _SIZE_IN_NAME.search(run.artifact or "")
    return (int(found[1]), int(found[2])) if found else None


def front(points: Iterable[tuple[float, float]]) -> list[int]:
    """Return the indices of the points that no other is both as fast as and as accurate as.

    Parameters
    ----------
    points
        Latency, the less the better, and accuracy, the more the better.
    """
    places = list(points)
    best = float("-inf")
    kept = []
    for index in sorted(range(len(places)), key=lambda i: (places[i][0], -places[i][1])):
        if places[index][1] > best:
            best = places[index][1]
            kept.append(index)
    return kept
