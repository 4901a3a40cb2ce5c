"""Which results of a store a report is about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

from lightmobile.device_bench.results import Result
from lightmobile.errors import UsageError

__all__ = ["Choice"]


@dataclass(frozen=True)
class Choice:
    """Devices by label, runtimes and precisions; an empty one takes all."""

    device: tuple[str, ...] = ()
    runtime: tuple[str, ...] = ()
    precision: tuple[str, ...] = ()

    def of(self, results: Sequence[Result]) -> list[Result]:
        """Return those of `results` that were asked for.

        Raises
        ------
        UsageError
            A word matches no result at all; the message gives those that do.
        """
        for field in fields(self):
            known = {_words(result)[field.name] for result in results}
            _refuse_unknown(field.name, getattr(self, field.name), known)
        kept = [result for result in results if self._takes(result)]
        if not kept:
            raise UsageError(
                "No result is of that device, runtime and precision at once",
                fix="Ask for less: `lightmobile results` lists what there is",
            )
        return kept

    def _takes(self, result: Result) -> bool:
        return all(
            not (wanted := getattr(self, name)) or word in wanted
            for name, word in _words(result).items()
        )


def _words(result: Result) -> dict[str, str]:
    ran = result.configuration
    return {
        "device": result.session.device.label,
        "runtime": ran.runtime,
        "precision": ran.precision,
    }


def _refuse_unknown(name: str, wanted: Iterable[str], known: set[str]) -> None:
    for word in wanted:
        if word not in known:
            raise UsageError(
                f"No result has the {name} {word!r}", fix=f"There are: {', '.join(sorted(known))}"
            )
