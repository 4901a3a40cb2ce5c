"""How results become findings, whatever the study."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from lightmobile.device_bench.results import results_of
from lightmobile.device_bench.schema import Condition, Failure, Reading, now
from lightmobile.device_bench.schema_artifact import Cost
from lightmobile.device_bench.studies.measured import group, is_usable
from lightmobile.device_bench.studies.registry import findings_of, list_studies, study
from lightmobile.device_bench.studies.study import QUICK, CheckpointStudy, Study, findings
from lightmobile.errors import UsageError
from tests.device_bench.lines import configuration, session, slice_
from tests.studies.made import cost, made, measured, named, result_id

TIMED = [each for each in list_studies() if isinstance(each, Study)]
NAMES = [each.name for each in TIMED]


def _any(_part: str) -> float:
    return 1.0


def _uneven(part: str) -> float:
    return 1 + sum(part.encode()) % 7


def _costs(part: str) -> Cost:
    count = 10**6 * (1 + sum(part.encode()) % 11)
    return cost(100 * count, params=count, activations=2 * count, activation_bytes=8 * count)


def test_the_studies_of_the_issue_are_there() -> None:
    assert {each.name for each in list_studies()} == {
        *("pconv-vs-dwconv", "spatial-operator", "fasternet-claims"),
        *("activations-predict-latency", "scaling-strategies", "scaled-vs-searched"),
        *("fusion-pays", "hetconv-p", "series-activation", "depth-vs-width"),
        *("kernel-importance", "conv-approximation"),
    }


def test_a_wrong_name_suggests_a_right_one() -> None:
    with pytest.raises(UsageError, match="pconv-vs-dwconv"):
        study("pconv-dwconv")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("quick", [True, False])
def test_every_figure_can_be_traced(name, quick) -> None:
    found = findings_of(made(name, _uneven, costs=_costs, quick=quick))
    assert found is not None
    assert found.quick == quick
    assert (QUICK in found.notes) == quick
    assert found.tables
    assert found.claims
    assert found.summary
    known = {result_id(part) for part in named(name).parts(quick)}
    for table in found.tables:
        keys = [k for c in table.columns for k in (c.key, c.low, c.high) if k]
        assert len(set(keys)) == len(keys), table.title
        for row in table.rows:
            assert set(row.cells) <= set(keys), (table.title, set(row.cells) - set(keys))
            assert row.results
            assert set(row.results) <= known
    for chart in found.charts:
        assert all(series.points for series in chart.series)
        assert all(set(p.results) <= known for series in chart.series for p in series.points)
    for claim in found.claims:
        assert set(claim.results) <= known
    json.dumps(found.to_dict())


@pytest.mark.parametrize("name", NAMES)
def test_a_study_goes_on_without_any_of_its_networks(name) -> None:
    parts = named(name).parts(quick=True)
    for missing in parts:
        results = made(name, lambda part, missing=missing: None if part == missing else 1.0)
        found = findings_of(results)
        assert found is not None
        assert any(parts[missing] in note for note in found.notes)


@pytest.mark.parametrize("name", NAMES)
def test_a_study_of_one_network_decides_nothing(name) -> None:
    first = next(iter(named(name).parts(quick=True)))
    found = findings_of(made(name, {first: 1.0}))
    assert found is not None
    # What is counted of one network alone can neither be compared.
    assert {claim.verdict for claim in found.claims} == {"undecided"}


@pytest.mark.parametrize("name", NAMES)
def test_an_emulator_gives_counts_and_no_verdict(name) -> None:
    found = findings_of(made(name, _any, emulated=True))
    assert found is not None
    assert found.emulated
    assert found.claims == found.charts == found.summary == ()
    assert any("EMULATED" in note for note in found.notes)
    assert not {"ms", "peak_mb"} & {key for t in found.tables for r in t.rows for key in r.cells}


@pytest.mark.parametrize("name", NAMES)
def test_files_without_counts_are_no_error(name) -> None:
    assert findings_of(made(name, _any, costs=lambda _part: None)) is not None


def test_the_results_of_another_session_are_no_study() -> None:
    (plain,) = results_of([session(), slice_(0)])
    assert findings_of([plain]) is None
    assert findings_of([]) is None
    (other,) = results_of([session(study="of-a-later-version"), slice_(0)])
    assert findings_of([other]) is None


def test_each_setting_is_read_by_itself_and_named() -> None:
    found = findings_of(made("spatial-operator", _any, runtimes=("executorch", "tflite")))
    assert found is not None
    halves = [title for title in (table.title for table in found.tables) if "executorch" in title]
    assert 2 * len(halves) == len(found.tables)
    assert all(
        claim.here.startswith(("executorch xnnpack fp32: ", "tflite xnnpack fp32: "))
        for claim in found.claims
    )
    settings = group(
        made("spatial-operator", _any, threads=2, batch=4, cores="big", clocks="fixed"),
        named("spatial-operator").parts(quick=True),
    )
    assert str(settings[0].setting) == (
        "executorch xnnpack fp32, batch 4, 2 threads, big cores, clocks fixed"
    )


def test_what_is_missing_is_named_with_its_reason() -> None:
    models = named("spatial-operator").parts(quick=True)
    plan = (
        configuration("a", model=models["identity"]),
        configuration("b", model=models["dwconv"], skipped="it is too large"),
        configuration("c", model=models["pconv"]),
    )
    results = results_of(
        [session(*plan, study="spatial-operator", quick=True), slice_(0, result="a")]
    )
    notes = findings(
        named("spatial-operator"), results, {(models["pconv"], "executorch"): "load: it crashed"}
    ).notes
    assert f"Not measured on executorch: {models['dwconv']} (it is too large)" in notes
    assert f"Not measured on executorch: {models['pconv']} (load: it crashed)" in notes
    assert f"Not measured on executorch: {models['rep_so']}" in notes


def test_a_result_that_failed_is_left_out_and_named() -> None:
    models = named("spatial-operator").parts(quick=True)
    plan = [configuration(part, model=model) for part, model in models.items()]
    lines = [slice_(0, result=part) for part in models]
    wrong = Failure(session="s", result="dwconv", stage="outputs", error="they differ")
    memory = Failure(session="s", result="pconv", stage="memory", error="no")
    head = session(*plan, study="spatial-operator", quick=True)
    results = results_of([head, *lines, wrong, memory])
    assert [is_usable(each) for each in results] == [True, False, True, True]
    found = findings_of(results)
    assert found is not None
    (note,) = [note for note in found.notes if note.startswith("Left out")]
    assert models["dwconv"] in note
    assert models["pconv"] not in note


def test_a_hot_device_is_said() -> None:
    (result, *_) = made("spatial-operator", _any)
    cool = findings_of([result])
    reading = Reading(
        session="s", round=0, when="after", taken=now(), condition=Condition(thermal_status=2)
    )
    hot = findings_of([replace(result, readings=(reading,))])
    assert cool is not None
    assert hot is not None
    assert not any("HOT" in note for note in cool.notes)
    assert any("HOT" in note for note in hot.notes)


def test_results_without_a_common_round_have_no_ratio() -> None:
    models = named("spatial-operator").parts(quick=True)
    plan = [configuration(part, model=model) for part, model in models.items()]
    lines = [slice_(place, result=part) for place, part in enumerate(models)]
    results = results_of([session(*plan, study="spatial-operator", quick=True), *lines])
    found = group(results, models)[0]
    assert found.ratio("dwconv", "identity") is None
    assert found.latency("dwconv") is not None
    assert findings_of(results) is not None


def test_one_network_can_play_two_parts() -> None:
    depth = named("depth-vs-width")
    assert depth.full["same@6"] == depth.full["own@6"]
    assert len(depth.models()) < len(depth.full)
    both = measured("depth-vs-width", {"same@6": 2.0}, quick=False)
    assert both.latency("own@6") == both.latency("same@6") != None  # noqa: E711


def test_flops_are_macs_over_time() -> None:
    found = measured("spatial-operator", {"dwconv": 2.0, "pconv": 1.0}, noise=0.0)
    rate = found.gflops("dwconv")
    assert rate is not None
    assert rate.value == pytest.approx(500)  # 1e9 MACs in 2 ms
    more = found.flops_ratio("pconv", "dwconv")
    assert more is not None
    assert more.value == pytest.approx(2)
    assert more.results == ("executorch-pconv", "executorch-dwconv")


def test_studies_of_weights_need_them(tmp_path) -> None:
    from lightmobile.device_bench.studies.run import run_study

    for each in list_studies():
        if isinstance(each, CheckpointStudy):
            with pytest.raises(UsageError, match="trained weights"):
                run_study(each.name)
    with pytest.raises(UsageError, match="needs images"):
        run_study("conv-approximation", checkpoint=tmp_path / "a.pth")
    with pytest.raises(UsageError, match="takes no images"):
        run_study("kernel-importance", checkpoint=tmp_path / "a.pth", images=tmp_path)
    with pytest.raises(UsageError, match="measures latencies"):
        run_study("spatial-operator", checkpoint=tmp_path / "a.pth")


def test_two_rounds_decide_nothing_about_time() -> None:
    results = made("spatial-operator", {"identity": 1, "dwconv": 2, "pconv": 1, "rep_so": 4})
    found = findings_of([replace(each, slices=each.slices[:2]) for each in results])
    assert found is not None
    assert {claim.verdict for claim in found.claims} == {"undecided"}
    assert all("Fewer than 4 rounds" in claim.here for claim in found.claims)
    whole = findings_of(results)
    assert whole is not None
    assert "undecided" not in {claim.verdict for claim in whole.claims}
