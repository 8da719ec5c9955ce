"""A day's pipeline: what it starts from, and in which order it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tfx.dsl.components.common.importer import Importer
from tfx.dsl.experimental.conditionals.conditional import get_predicates
from tfx.types.standard_artifacts import Model

from components.dataset.declaration import Declaration
from components.dataset.loader import load_declaration
from pipeline.daily.create import DaySettings, create_day_pipeline, replay
from pipeline.daily.days import Delivery, Part
from pipeline.daily.declared import for_day
from pipeline.daily.ledger import Carry, LearnedDay, Service


def declared(*settings: str) -> Declaration:
    delivery = Delivery(day="2024-01-05", parts={"impressions/part-[4].csv": Part(rows=3, hash="1")})
    return for_day(load_declaration("simulated", settings), delivery)


def learned(*days: int) -> list[LearnedDay]:
    return [
        LearnedDay(day=f"2024-01-{day:02}", examples=f"rows {day}", transform_graph=f"graph {day}")
        for day in days
    ]


def carry(unlearned: list[str] | None = None) -> Carry:
    return Carry(
        state="/state",
        service=Service(day="2024-01-04", model="/model", model_run="/run", version="/serving/1"),
        learned=learned(4, 3, 2, 1),
        unlearned=unlearned or [],
        measured=["/figures"],
        progressive=["/evaluation"],
    )


def settings(folder: Path, handed: Carry, *, rebase: bool = False) -> DaySettings:
    schema = folder / "schema.pbtxt"
    schema.write_text("")
    return DaySettings(
        declaration=declared(),
        day="2024-01-05",
        data_dir=str(folder),
        data_fingerprint="f",
        carry=handed,
        rebase=rebase,
        accepted=False,
        root=str(folder),
        schema_file=str(schema),
        pipeline_root=str(folder),
        serving_dir=str(folder),
        work_dir=str(folder),
    )


def test_a_day_is_its_rows_and_its_newest_hours_judge() -> None:
    day = declared("daily.judge_hours=6")
    assert (str(day.split.since), str(day.split.before)) == ("2024-01-05 00:00:00", "2024-01-06 00:00:00")
    assert (day.split.day_hours, day.split.eval_days) == (6, 1)
    assert day.impressions.files == ["impressions/part-[[]4].csv"]
    assert day.moving_average.eval_state == "daily"


def test_the_candidate_is_judged_with_an_allowance_for_chance_and_the_day_without(tmp_path: Path) -> None:
    nodes = {node.id: node for node in create_day_pipeline(settings(tmp_path, carry())).components}
    for name, allowed in (("Evaluator", True), ("Progressive", False)):
        assert ('deviations\\": 3.0' in nodes[name].exec_properties["eval_config"]) == allowed


def test_a_model_that_no_day_has_made_judges_without_an_allowance_and_is_not_learned_from(
    tmp_path: Path,
) -> None:
    handed = carry().model_copy(update={"service": None, "incumbent": "/served/7"})
    pipeline = create_day_pipeline(settings(tmp_path, handed, rebase=True))
    nodes = {node.id: node for node in pipeline.components}
    assert "Progressive" in nodes and "EarlierRun" not in nodes
    assert nodes["InService"].exec_properties["artifact_uri"] == "/served/7"
    assert "baseline_model" in nodes["Evaluator"].inputs
    for found in ('"deviations\\": 3.0', 'drop_deviations\\": 0.0'):
        assert found in nodes["Evaluator"].exec_properties["eval_config"]
    replayed = replay(declared(), handed, rebase=True)
    assert [day["examples"] for day in replayed["replay"]] == ["rows 1", "rows 2", "rows 3", "rows 4"]


def test_the_files_of_a_dated_lookup_are_those_of_the_day() -> None:
    day = declared("lookups=[{files: ['items-{data_day}.csv'], key: item_id}]")
    assert day.lookups[0].files == ["items-{2024-01-05}.csv"]


def test_a_days_events_are_its_own_and_those_that_no_state_knows_yet() -> None:
    section = "{files: ['search-{data_day}.csv', 'weeks-before.csv']}"
    feed = load_declaration("simulated", [f"events=[{section}, {{files: [shop.csv]}}]"])
    found = {"0": {"search-2024-01-05.csv": Part(rows=3, hash="1")}}
    late = Delivery(
        day="2024-01-04",
        events={"0": {"search-2024-01-04.csv": Part(rows=2, hash="1")}},
        after="2024-01-03",
    )
    day = Delivery(day="2024-01-05", events=found, after="2024-01-04")
    [alone] = for_day(feed, day).events
    assert alone.files == ["search-2024-01-05.csv"]
    assert (str(alone.since), str(alone.before)) == ("2024-01-05 00:00:00", "2024-01-06 00:00:00")
    [both] = for_day(feed, day.model_copy(update={"pending": [late]})).events
    assert both.files == ["search-2024-01-04.csv", "search-2024-01-05.csv"]
    assert str(both.since) == "2024-01-04 00:00:00"
    [first] = for_day(feed, day.model_copy(update={"after": None})).events
    assert first.since is None
    assert for_day(feed, Delivery(day="2024-01-05")).events == []


def test_what_is_replayed() -> None:
    day = declared("daily.replay_days=2", "daily.rebase_days=4", "daily.replay_share=0.25")
    warm = replay(day, carry(), rebase=False)
    assert ([d["examples"] for d in warm["replay"]], warm["replay_share"]) == (["rows 3", "rows 4"], 0.25)
    after_a_refusal = replay(day, carry(["2024-01-04"]), rebase=False)
    assert ([d["examples"] for d in after_a_refusal["replay"]], after_a_refusal["replay_share"]) == (
        ["rows 4"],
        1.0,
    )
    from_nothing = replay(day, carry(), rebase=True)
    assert ([d["examples"] for d in from_nothing["replay"]], from_nothing["replay_share"]) == (
        ["rows 2", "rows 3", "rows 4"],
        1.0,
    )
    none = replay(declared("daily.replay_share=0"), carry(), rebase=False)
    assert none["replay"] == []


def test_the_first_day_has_nothing_to_go_on_from(tmp_path: Path) -> None:
    nodes = {node.id for node in create_day_pipeline(settings(tmp_path, Carry())).components}
    assert nodes >= {"DataGates", "Transform"}
    assert not nodes & {
        "InService",
        "PriorState",
        "Progressive",
        "ProgressiveGate",
        "Candidate",
        "AtomicPusher",
    }


def test_the_first_model_is_trained_from_nothing_and_compared_with_none(tmp_path: Path) -> None:
    handed = Carry(state="/state", learned=learned(4), unlearned=["2024-01-04"], measured=["/figures"])
    nodes = {node.id for node in create_day_pipeline(settings(tmp_path, handed, rebase=True)).components}
    assert nodes >= {"PriorState", "Candidate", "Evaluator", "Trainer", "AtomicPusher"}
    assert not nodes & {"InService", "EarlierRun", "Progressive"}


def test_nothing_is_folded_or_learned_before_the_gates_have_passed(tmp_path: Path) -> None:
    nodes = {node.id: node for node in create_day_pipeline(settings(tmp_path, carry())).components}

    def before(name: str) -> set[str]:
        found: set[str] = set()
        waiting = [nodes[name]]
        while waiting:
            for node in waiting.pop().upstream_nodes:
                if node.id not in found:
                    found.add(node.id)
                    waiting.append(node)
        return found

    assert {"DataGates", "ProgressiveGate", "StrictExampleValidator", "PriorState"} <= before("Transform")
    assert "DataGates" in before("Progressive")
    assert {"Candidate", "Evaluator", "EarlierRun"} <= before("Trainer")
    assert {"Evaluator", "SignatureCheck", "Trainer"} <= before("AtomicPusher")


def test_a_refused_candidate_ends_a_day_where_no_last_task_waits_for_all(tmp_path: Path) -> None:
    def judged(**options: Any) -> set[str]:
        pipeline = create_day_pipeline(settings(tmp_path, carry()), **options)
        registry = pipeline.dsl_context_registry
        return {node.id for node in pipeline.components if get_predicates(node, registry)}

    assert judged() == {"Trainer", "SignatureCheck", "AtomicPusher"}
    last = Importer(source_uri=str(tmp_path), artifact_type=Model).with_id("last")
    assert judged(close=lambda nodes: last) == set()


def test_a_training_from_nothing_has_no_earlier_run(tmp_path: Path) -> None:
    nodes = {node.id for node in create_day_pipeline(settings(tmp_path, carry(), rebase=True)).components}
    assert "EarlierRun" not in nodes
    assert {"InService", "PriorState"} <= nodes
