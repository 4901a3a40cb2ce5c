"""What VanillaNet's series activation costs, and what a shortcut would."""

from __future__ import annotations

from lightmobile.device_bench.findings import Cell, Column
from lightmobile.device_bench.studies.claims import decide
from lightmobile.device_bench.studies.estimate import Estimate
from lightmobile.device_bench.studies.measured import Measured
from lightmobile.device_bench.studies.study import Part, Study
from lightmobile.device_bench.studies.tables import bars, cells, estimated, networks

__all__ = ["STUDY"]

_PAPER = "Chen et al., VanillaNet, NeurIPS 2023, arXiv:2305.12972, in a digest"
_ORDERS = (0, 1, 2, 3, 4)
_SHORTCUTS = {"before_act": "before the activation", "after_act": "after the activation"}
_OWN = 3  # the published networks' order
_LESS = 0.5


def _parts(network: str, options: str, orders: tuple[int, ...]) -> dict[str, str]:
    return {
        **{f"n{n}": network + (f",act_num={n}" if n != _OWN else "") + options for n in orders},
        **{each: f"{network}{options},shortcut={each}" for each in _SHORTCUTS},
    }


def _analyse(measured: Measured) -> Part:
    orders = [n for n in _ORDERS if f"n{n}" in measured.names and n]
    times = {n: _share_of_time(measured, n) for n in orders}
    macs = {n: _share_of_macs(measured, n) for n in orders}
    shortcuts = {each: measured.ratio(each, "n3") for each in _SHORTCUTS}
    more: dict[str, dict[str, Cell]] = {
        f"n{n}": {"macs_share": _percent(macs[n]), **cells("time_share", _in_percent(times[n]))}
        for n in orders
    }
    more |= {
        each: {**cells("over", ratio), "memory": measured.memory_ratio(each, "n3")}
        for each, ratio in shortcuts.items()
    }
    return Part(
        tables=(
            networks(
                measured,
                measured.parts("n"),
                "Series activation of order n",
                more=more,
                extra=(
                    Column("macs_share", "its share of MACs, %"),
                    estimated("time_share", "of time, %"),
                ),
            ),
            networks(
                measured,
                measured.parts("n3", *_SHORTCUTS),
                "Shortcuts around each block",
                more={each: more[each] for each in _SHORTCUTS},
                extra=(
                    estimated("over", "time over that without"),
                    Column("memory", "peak memory over that without"),
                ),
            ),
        ),
        charts=(
            bars(
                "Share of time of the series activation",
                "%",
                [(f"n = {n}", _in_percent(times[n])) for n in orders],
            ),
        ),
        claims=(
            decide(
                "The series activation costs far less than the convolution before it: by FLOPs 1 "
                f"to 84 in the last stage, n = 7 there being the kernel's side ({_PAPER})",
                "its share of the time at n = 3; costing less than the rest means below half",
                [("n = 3", times.get(3))],
                "below",
                _LESS,
            ),
            decide(
                "What the series activation costs can be told by its FLOPs, so its share of the "
                f"time is no larger than theirs (our reading of {_PAPER}, which argues by FLOPs)",
                "share of time over share of MACs",
                [(f"n = {n}", _times_share(times[n], macs[n])) for n in orders],
                "below",
                1,
            ),
            decide(
                "VanillaNet is fast because it avoids shortcuts, among others, so a shortcut costs "
                f"time ({_PAPER}, without a figure)",
                "time with a shortcut around each block over that without",
                [(_SHORTCUTS[each], ratio) for each, ratio in shortcuts.items()],
                "above",
                1,
            ),
        ),
        summary=(
            *(
                f"At n = {n}, the series activations have {100 * share:.3g} % of the MACs and "
                f"{_in_percent(times[n])} % of the time."
                for n in orders
                if times[n] is not None and (share := macs[n]) is not None
            ),
            *(
                f"A shortcut {_SHORTCUTS[each]} makes the network take {ratio} times the time and "
                f"{memory:.3g} times the peak memory."
                for each, ratio in shortcuts.items()
                if ratio is not None and (memory := measured.memory_ratio(each, "n3"))
            ),
        ),
    )


def _share_of_time(measured: Measured, n: int) -> Estimate | None:
    """Return the part of the time that plain activations would save."""
    ratio = measured.ratio("n0", f"n{n}")
    return ratio and ratio.through(lambda share: 1 - share)


def _share_of_macs(measured: Measured, n: int) -> float | None:
    plain, ours = measured.cost("n0"), measured.cost(f"n{n}")
    return 1 - plain.macs / ours.macs if plain and ours and ours.macs else None


def _times_share(time: Estimate | None, macs: float | None) -> Estimate | None:
    return time.through(lambda share: share / macs) if time and macs else None


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _in_percent(share: Estimate | None) -> Estimate | None:
    return share and share.through(lambda each: 100 * each)


STUDY = Study(
    name="series-activation",
    question="What does the series activation cost beside its share of MACs, and a shortcut?",
    paper=f"The series activation adds nonlinearity at a small cost. {_PAPER}",
    full=_parts("vanillanet_5", "", _ORDERS),
    small=_parts("vanillanet_5", ",width=8,num_classes=10,resolution=64", (0, 3)),
    analyse=_analyse,
    memory=True,
    notes=(
        "The share of time is what the network saves with plain activations, n = 0, where each is "
        "fused into the convolution before it. Peak memory has no interval: it is measured once.",
    ),
)
