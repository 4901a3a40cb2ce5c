from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from lightmobile.device_bench.findings import Findings
from lightmobile.device_bench.report import Choice, Report, collect
from lightmobile.device_bench.report.accuracy import front, published_top1
from lightmobile.device_bench.report.sections import absent, sections
from lightmobile.device_bench.results import Result, results_of
from lightmobile.device_bench.schema import Line
from lightmobile.device_bench.store import Store
from lightmobile.errors import UsageError
from tests.device_bench.lines import configuration, session, slice_, whole_result
from tests.report import stores


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return stores.stored(tmp_path_factory.mktemp("store") / "results.jsonl", stores.studied())


@pytest.fixture(scope="module")
def report(store: Store) -> Report:
    return collect(store, findings_of=stores.findings_of)


def _report(path: Path, *lines: Line, choice: Choice | None = None) -> Report:
    return collect(stores.stored(path / "store.jsonl", lines), choice)


def test_results_are_by_device_the_fastest_first_and_emulated_ones_apart(report: Report) -> None:
    assert [entry.id for entry in report.entries] == ["h4", "h1", "h3", "h2", "h5", "p1", "p2"]
    assert [entry.id for entry in report.emulated] == ["e1"]
    assert {entry.run.model[:3] for entry in report.operators} == {"op:"}
    everything = report.everything
    assert [entry.number for entry in everything] == list(range(20))
    assert report.numbers["h1"] == next(e.number for e in everything if e.id == "h1")


def test_the_source_is_told_by_its_name_lines_and_hash(report: Report, store: Store) -> None:
    assert report.source.name == "results.jsonl"
    assert report.source.lines == len(store.read())
    assert report.source.sha256 == hashlib.sha256(store.path.read_bytes()).hexdigest()


def test_a_device_has_one_card_with_its_sessions(report: Report) -> None:
    names = {card.name: [session.id for session in card.sessions] for card in report.devices}
    assert names == {
        "host": ["host-1", "study-1", "study-2", "roof-1"],
        "android:R58N12345": ["phone-1"],
        "android:emulator-5554": ["emulator-1"],
    }
    phone = dict(report.devices[1].facts)
    assert phone["Cores"] == "4 × Cortex-A510 at 1800 MHz, 1 × Cortex-X3 at 3200 MHz"
    assert phone["Memory"] == "8.0 GB"
    assert [card.emulated for card in report.devices] == [False, False, True]


def test_two_hosts_are_two_devices(tmp_path: Path) -> None:
    other = stores.DEVICE.model_copy(update={"processor": "Another"})
    report = _report(
        tmp_path,
        *(session(configuration("a"), id="s"), *whole_result("a", "s")),
        *(session(configuration("b"), id="t", device=other), *whole_result("b", "t")),
    )
    assert [card.name for card in report.devices] == ["host", "host (2)"]
    assert [entry.device for entry in report.entries] == ["host", "host (2)"]


def test_the_latest_result_of_a_configuration_is_told_from_earlier_ones(tmp_path: Path) -> None:
    report = _report(
        tmp_path,
        *(session(configuration("new"), id="t", started=stores.START), *whole_result("new", "t")),
        *(
            session(configuration("old"), id="s", started=stores.START - timedelta(days=1)),
            *whole_result("old", "s"),
        ),
    )
    assert {entry.id: entry.latest for entry in report.entries} == {"new": True, "old": False}
    ranking, intervals, *_ = sections(report)
    assert any("unpaired" in words for words in ranking.text)
    (chart,) = intervals.groups[0].charts
    assert [row.bars[0].results for row in chart.rows] == [("new",)]  # type: ignore[union-attr]


def test_short_ids_tell_results_apart(tmp_path: Path) -> None:
    plan = [configuration(name) for name in ("a" * 12 + "b", "a" * 12 + "c")]
    lines = [line for run in plan for line in whole_result(run.result)]
    report = _report(tmp_path, session(*plan), *lines)
    assert [len(entry.short) for entry in report.entries] == [13, 13]


def test_the_latest_session_of_a_study_is_shown_and_earlier_ones_listed(report: Report) -> None:
    assert [(found.study, found.session) for found in report.findings] == [
        ("pconv-vs-dwconv", "study-2"),
        ("roofline", "roof-1"),
    ]
    assert [session.id for session in report.earlier] == ["study-1"]


def test_a_study_that_cannot_be_derived_is_told(store: Store) -> None:
    def refuse(results: Sequence[Result]) -> Findings:
        raise UsageError("Too little was measured")

    report = collect(store, findings_of=refuse)
    assert report.findings == ()
    assert any("Too little was measured" in note for note in report.notes)


def test_a_filter_that_splits_a_study_leaves_it_out(tmp_path: Path) -> None:
    plan = configuration("a"), configuration("b", runtime="tflite")
    lines = [session(*plan, study="x"), *whole_result("a"), *whole_result("b")]
    report = _report(tmp_path, *lines, choice=Choice(runtime=("tflite",)))
    assert report.findings == ()
    assert "leaves part of its results out" in report.notes[0]


@pytest.mark.parametrize(
    ("choice", "ids"),
    [
        (Choice(device=("android:R58N12345",)), {"p1", "p2"}),
        (Choice(runtime=("tflite",)), {"h3"}),
        (Choice(precision=("int8",)), {"h4"}),
        (Choice(device=("host",), runtime=("tflite", "executorch"), precision=("int8",)), {"h4"}),
    ],
)
def test_filters(store: Store, choice: Choice, ids: set[str]) -> None:
    report = collect(store, choice, findings_of=stores.findings_of)
    assert {entry.id for entry in report.everything} == ids


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        (Choice(device=("toaster",)), "android:R58N12345"),
        (Choice(runtime=("onnx",)), "executorch, tflite"),
        (Choice(precision=("int8",), runtime=("tflite",)), "lightmobile results"),
    ],
)
def test_a_filter_that_takes_nothing_says_what_there_is(
    store: Store, choice: Choice, told: str
) -> None:
    with pytest.raises(UsageError) as error:
        collect(store, choice)
    assert told in error.value.fix


def test_an_empty_store_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no results"):
        collect(Store(tmp_path / "absent.jsonl"))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"model": "timm:resnet18"}, "no published"),
        ({"model": "regnety_400mf@dWr:8"}, "no published"),
        ({"model": "vanillanet_5,act_num=4"}, "no published"),
        ({"model": "fasternet_t0,num_classes=1000"}, "no published"),
        ({"model": "a.module:function"}, "no published"),
        ({"model": "fasternet_t0_dw"}, "no published"),
        ({"model": "FASTERNET_T0"}, "no published"),
        ({"model": "fasternet_*"}, "no published"),
        ({"precision": "int8"}, "int8"),
        ({"precision": "w8"}, "w8"),
        ({"batch": 4}, "batch"),
        ({"artifact": "fasternet_t0-96x96.xnnpack.fp32.pte"}, "size"),
        ({"facts": stores.FACTS.model_copy(update={"input_shape": (1, 96, 96, 3)})}, "size"),
    ],
)
def test_only_a_plain_published_network_has_an_accuracy(
    changes: dict[str, object], why: str
) -> None:
    (result,) = results_of([session(configuration(**changes)), slice_(0)])
    top1, classes = published_top1(result)
    assert isinstance(top1, str)
    assert why in top1
    assert classes is None


@pytest.mark.parametrize("changes", [{}, {"precision": "fp16"}, {"facts": stores.FACTS}])
def test_a_published_network_has_its_accuracy(changes: dict[str, object]) -> None:
    (result,) = results_of([session(configuration(**changes)), slice_(0)])
    assert published_top1(result) == (71.9, 1000)


@pytest.mark.parametrize(
    ("points", "kept"),
    [
        ([], []),
        ([(1, 70)], [0]),
        ([(2, 70), (1, 71)], [1]),
        ([(1, 70), (2, 70), (3, 75), (2.5, 72)], [0, 3, 2]),
        ([(1, 70), (1, 71)], [1]),
    ],
)
def test_the_front_is_of_points_that_none_beats(
    points: list[tuple[float, float]], kept: list[int]
) -> None:
    assert front(points) == kept


def test_networks_of_different_tasks_share_no_chart(tmp_path: Path) -> None:
    plan = configuration("a"), configuration("b", model="hetconv_vgg16_p1", artifact=None)
    report = _report(tmp_path, session(*plan), *whole_result("a"), *whole_result("b"))
    accuracy = next(each for each in sections(report) if each.key == "accuracy")
    charts = [chart for group in accuracy.groups for chart in group.charts]
    assert len(charts) == 2
    assert len({chart.name for chart in charts}) == 2


def test_every_row_point_and_claim_names_results_that_there_are(report: Report) -> None:
    known = set(report.numbers)
    for section in sections(report):
        for group in section.groups:
            rows = [row for table in group.tables for row in table.rows]
            named = [each for row in rows for each in row.results]
            named += [each for claim in group.claims for each in claim.results]
            assert set(named) <= known
            if section.key not in ("skipped", "studies", "roofline"):
                assert all(row.results for row in rows)


def test_what_the_store_lacks_is_said_with_how_to_get_it(tmp_path: Path, report: Report) -> None:
    plain = _report(tmp_path, session(), *whole_result())
    assert any("--sustained" in words for words in absent(plain))
    assert absent(report) == []


def test_what_was_skipped_or_failed_is_told(report: Report) -> None:
    found = {(each.result, each.stage): each.why for each in report.skipped}
    assert found == {
        ("h6", "skipped"): "it needs macOS",
        ("h3", "profile"): "no per-operator times",
    }
