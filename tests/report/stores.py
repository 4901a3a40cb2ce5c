"""Stores to report on: a small one with everything in it, a hostile one, and a large one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice, product
from pathlib import Path

from lightmobile.device_bench.findings import (
    Chart,
    Claim,
    Column,
    Findings,
    Point,
    Row,
    Series,
    Table,
)
from lightmobile.device_bench.results import Result
from lightmobile.device_bench.schema import (
    ArtifactFacts,
    Cluster,
    Condition,
    Configuration,
    Cost,
    DeviceIdentity,
    Failure,
    Line,
    Minute,
    Numerics,
    Process,
    Profile,
    ProfileRow,
    Slice,
)
from lightmobile.device_bench.schema_artifact import Placement, Proof
from lightmobile.device_bench.store import Store
from lightmobile.models.registry import list_models
from tests.device_bench.lines import DEVICE, configuration, session, whole_result

PHONE = DeviceIdentity(
    kind="android",
    serial="R58N12345",
    system="Android",
    os_version="14",
    machine="aarch64",
    manufacturer="Acme",
    model="Phone 9",
    processor="Cortex-X3",
    soc="SoC 9000",
    clusters=(
        Cluster(cores=(0, 1, 2, 3), name="Cortex-A510", max_mhz=1800),
        Cluster(cores=(4,), name="Cortex-X3", max_mhz=3200),
    ),
    memory_bytes=8_000_000_000,
    versions={"executorch": "1.5.1"},
)
EMULATOR = PHONE.model_copy(update={"serial": "emulator-5554", "emulated": True})
START = datetime(2026, 5, 1, 12, tzinfo=UTC)
FACTS = ArtifactFacts(
    input_shape=(1, 3, 224, 224),
    file_bytes=15_600_000,
    weights="untrained",
    cost=Cost(
        macs=335_422_720,
        params=3_900_660,
        activations=4_000_000,
        activation_bytes=30_000_000,
        weight_bytes=15_600_000,
        lowered_bytes=50_000_000,
        working_set_bytes=2_000_000,
    ),
    placement=Placement(delegate="XnnpackBackend", subgraphs=1, delegated=44),
    proof=Proof(method="runtime", max_abs=1e-6, rel_l2=2e-7, sqnr_db=134.0, top1_agreement=1.0),
)
HOSTILE = (
    "<script>alert(1)</script>",
    "=cmd()|' /C calc'!A0",
    "\x1b[31mred",
    "]]>",
    "</style><img src=x onerror=alert(1)>",
    "javascript:alert(1)",
    "[a](javascript:alert(1))",
    "$\\frac{$",
    '"><svg onload=alert(1)>',
    "-->",
    "a|b",
    "\N{RIGHT-TO-LEFT OVERRIDE}gnp.exe",
)


def _measured(owner: str, result: str, milliseconds: float) -> list[Line]:
    """Lines of one result whose median is `milliseconds`, its samples 5 % about it."""
    place = {"session": owner, "result": result}
    middle = int(milliseconds * 1e6)
    lines: list[Line] = []
    for number in range(3):
        lines.append(
            Process(
                process=number,
                versions={"executorch": "1.5.1"},
                timed="execute()",
                load_ns=20_000_000,
                first_ns=2 * middle,
                **place,
            )
        )
        for round_ in (2 * number, 2 * number + 1):
            samples = tuple(
                middle + (step * middle) // 40 + round_ * 1000 for step in (-2, -1, 0, 1, 2)
            )
            started = START + timedelta(seconds=round_)
            lines.append(
                Slice(round=round_, process=number, started=started, samples_ns=samples, **place)
            )
    # The memory and the end of a bench.
    return [*lines, *whole_result(result, owner)[-2:]]


def small() -> list[Line]:
    """Two devices and an emulator, several runtimes and precisions, and every pass."""
    host = (
        configuration("h1", facts=FACTS),
        configuration("h2", model="mobilenet_v2", artifact="mobilenet_v2.xnnpack.fp32.pte"),
        configuration("h3", runtime="tflite", artifact="fasternet_t0.tflite.fp32.tflite"),
        configuration("h4", precision="int8", artifact="fasternet_t0.xnnpack.int8.pte"),
        configuration("h5", model="timm:resnet18", artifact="timm-resnet18-1a.xnnpack.fp32.pte"),
        configuration("h6", model="shufflenet_v2_x1_5", artifact=None, skipped="it needs macOS"),
    )
    phone = (
        configuration("p1", facts=FACTS, threads=4),
        configuration("p2", model="mobilenet_v2", threads=1),
    )
    emulated = (configuration("e1", emulated=True),)
    times = {"h1": 12.5, "h2": 15.0, "h3": 14.0, "h4": 8.0, "h5": 30.0, "p1": 6.0, "p2": 7.5}
    lines: list[Line] = [
        session(*host, id="host-1", started=START),
        session(*phone, id="phone-1", started=START, device=PHONE),
        session(*emulated, id="emulator-1", started=START, device=EMULATOR),
        session(host[0], id="host-0", started=START - timedelta(days=1)),
    ]
    for result, milliseconds in times.items():
        lines += _measured("host-1" if result[0] == "h" else "phone-1", result, milliseconds)
    lines += _measured("emulator-1", "e1", 777.0)
    lines += [
        Profile(
            session="host-1",
            result="h1",
            rows=tuple(
                ProfileRow(
                    name=f"Convolution (NHWC, F32) GEMM #{number}",
                    samples_ns=(100_000 * (30 - number),) * 3,
                    delegate="XnnpackBackend",
                )
                for number in range(20)
            ),
        ),
        Numerics(
            session="phone-1",
            result="p1",
            against="pytorch",
            max_abs=1e-6,
            rel_l2=1e-7,
            passed=True,
        ),
        Failure(session="host-1", result="h3", stage="profile", error="no per-operator times"),
    ]
    lines += [
        Minute(
            session="phone-1",
            result="p1",
            minute=minute,
            started=START + timedelta(minutes=minute),
            samples_ns=(6_000_000 + minute * 400_000,) * 5,
            condition=Condition(thermal_status=min(3, minute // 2)),
        )
        for minute in range(6)
    ]
    return lines


def hostile() -> list[Line]:
    """A store in which all that has a name bears each of `HOSTILE`, a device a name."""
    return [line for number, name in enumerate(HOSTILE) for line in _named(number, name)]


def _named(number: int, name: str) -> list[Line]:
    device = DeviceIdentity(
        kind="android",
        serial=name,
        system=name,
        release=name,
        machine=name,
        manufacturer=name,
        processor=name,
        soc=name,
        governor=name,
        instruction_sets=(name,),
        versions={name: name},
    )
    what = dict.fromkeys(("model", "runtime", "precision", "backend", "compute", "cores"), name)
    facts = FACTS.model_copy(
        update={"placement": Placement(delegate=name, undelegated={name: 2}), "weights": name}
    )
    owner, result = f"session-{number}", f"result-{number}"
    return [
        session(
            configuration(result, **what, facts=facts),
            configuration(f"skipped-{number}", **what, skipped=name),
            id=owner,
            device=device,
            study=name,
        ),
        *_measured(owner, result, 3.0 + number),
        Profile(session=owner, result=result, rows=(ProfileRow(name=name, samples_ns=(1000,)),)),
        Failure(session=owner, result=result, stage="run", error=name),
    ]


def many(count: int) -> list[Line]:
    """`count` results of distinct configurations on four devices, 125 a session."""
    devices = [DEVICE, *(PHONE.model_copy(update={"serial": f"PHONE{n}"}) for n in range(3))]
    lines: list[Line] = []
    for place, device in enumerate(devices):
        runs = list(islice(_configurations(place), count // len(devices)))
        for first in range(0, len(runs), 125):
            part = runs[first : first + 125]
            owner = f"session-{place}-{first:05d}"
            lines.append(session(*part, id=owner, started=START, device=device))
            for number, run in enumerate(part, first):
                lines += _measured(owner, run.result, 1 + number * 7 % 193 / 2)
    return lines


def _configurations(place: int) -> Iterator[Configuration]:
    kinds = product(
        list_models(), ("executorch", "tflite", "coreml"), ("fp32", "fp16", "int8"), (1, 2, 4, 8)
    )
    for number, (model, runtime, precision, threads) in enumerate(kinds):
        yield configuration(
            f"{place:08x}{number:024x}",
            model=model,
            artifact=f"{model}.{runtime}.{precision}.pte",
            runtime=runtime,
            precision=precision,
            threads=threads,
        )


def study(results: Sequence[Result]) -> Findings:
    """What a study might find in `results`: a table, bars, a claim of each kind."""
    ids = tuple(result.id for result in results)
    medians = [result.latency.median / 1e6 for result in results]
    bars = tuple(
        Point(place, median, 0.9 * median, 1.1 * median, result.configuration.model, (result.id,))
        for place, (result, median) in enumerate(zip(results, medians, strict=True))
    )
    return Findings(
        study="pconv-vs-dwconv",
        question="Is a partial convolution faster than a depthwise one?",
        session=results[0].session.id,
        device=results[0].session.device.label,
        tables=(
            Table(
                "Latency",
                (Column("model", "model"), Column("median", "median ms")),
                tuple(
                    Row({"model": point.label, "median": point.y}, point.results) for point in bars
                ),
            ),
        ),
        charts=(Chart("Latency by model", "model", "median ms", (Series("fp32", "bars", bars),)),),
        claims=(
            Claim("PConv is faster.", "holds", "1.4 times (1.3 to 1.5).", ids),
            Claim("It needs less memory.", "does not hold", "0.9 times (0.8 to 1.0).", ids[:1]),
            Claim("It is as accurate.", "undecided", "Nothing was measured."),
        ),
        summary=("PConv took 1.4 times less.",),
        notes=("One size was left out.",),
    )


def roofline(results: Sequence[Result]) -> Findings:
    """A roof and points below it, over logarithmic axes."""
    roof = tuple(Point(x, min(100.0, 10 * x)) for x in (0.1, 1.0, 10.0, 100.0, 1000.0))
    points = tuple(
        Point(
            0.3 * 3**place, 2.0 * 2**place, label=result.configuration.model, results=(result.id,)
        )
        for place, result in enumerate(results)
    )
    chart = Chart(
        "Roofline",
        "operations a byte",
        "G operations/s",
        (Series("roof", "line", roof), Series("models", "points", points)),
        x_log=True,
        y_log=True,
    )
    return Findings(
        study="roofline",
        question="What bounds the models here?",
        session=results[0].session.id,
        device=results[0].session.device.label,
        charts=(chart,),
    )


def findings_of(results: Sequence[Result]) -> Findings:
    """Stand for the studies, which are tested on their own."""
    return roofline(results) if results[0].session.study == "roofline" else study(results)


def studied() -> list[Line]:
    """`small`, and sessions of two studies on its host, one of them twice."""
    lines = small()
    for name, owner, days in (
        ("pconv-vs-dwconv", "study-1", 1),
        ("pconv-vs-dwconv", "study-2", 2),
        ("roofline", "roof-1", 2),
    ):
        runs = [
            configuration(f"{owner}-{number}", model=f"op:conv{number}:{owner}")
            for number in range(4)
        ]
        started = START + timedelta(days=days)
        lines.append(session(*runs, id=owner, study=name, started=started))
        for number, run in enumerate(runs):
            lines += _measured(owner, run.result, 1.0 + number)
    return lines


def stored(path: Path, lines: Sequence[Line]) -> Store:
    """Write `lines` to a store at `path`."""
    store = Store(path)
    store.append(*lines)
    return store
