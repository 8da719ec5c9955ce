from __future__ import annotations

import json
from pathlib import Path

from components.dataset.declaration import Declaration
from components.dataset.impressions import read_piece
from components.dataset.loader import load_declaration
from components.dataset.read_plan import cut, plan_reading
from components.dataset.sections import Feature
from components.transform.transform_plan import make_plan
from pipeline import views


def transforms(*settings: str) -> str:
    return views.for_transform(load_declaration("simulated", settings))


def test_transform_does_not_run_again_for_what_does_not_concern_it() -> None:
    assert transforms() == transforms("training.learning_rate=0.5", "split.eval_days=3", "seed=9")
    assert transforms() != transforms("moving_average.decay=0.5")
    assert transforms() != transforms("split.day_hours=12")


def test_a_daily_state_is_told_which_days_are_evaluated() -> None:
    daily = "moving_average.eval_state=daily"
    assert transforms(daily, "split.eval_days=3") != transforms(daily)
    plan = make_plan(Declaration.from_json(transforms(daily, "split.eval_days=3", "split.day_hours=12")))
    assert (plan.refreshed_days, plan.day_ms) == (3, 12 * 3_600_000)
    assert make_plan(Declaration.from_json(transforms("split.eval_days=3"))).refreshed_days == 0


def test_ingestion_is_told_all_of_how_values_are_read() -> None:
    read = {"written": "comma", "separator": "|", "list": True, "max_length": 7}
    treated = {"max_size": 7, "min_count": 7, "oov_buckets": 7, "buckets": 7, "at_serving": 7.0}
    assert set(Feature.model_fields) == {*read, *treated, "type", "treatment"}, "a new setting: is it read?"
    declaration = load_declaration("simulated")
    names = list(declaration.features)[:2]
    given = {
        name: Feature.model_construct(type="float", treatment="log_normalise", **read | treated)
        for name in names
    }
    told = views.for_ingestion(declaration.model_copy(update={"features": given}))
    found = Declaration.model_construct(**json.loads(told)).features[names[0]]
    assert {name: found[name] for name in read} == read
    assert {name: found[name] for name in treated} == {
        name: Feature.model_fields[name].get_default() for name in treated
    }


def test_numbers_written_with_a_comma_are_read_by_what_ingestion_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(
        "name: a\nimpressions: {files: [log.csv], separator: ;}\nlabel: click\ndomain: tab\n"
        "timestamp: {column: ts, unit: s}\nfeatures:\n  tab: {type: string, treatment: vocabulary}\n"
        "  price: {type: float, treatment: normalise, written: comma}\n"
    )
    (tmp_path / "log.csv").write_text(
        "ts;tab;price;click\n1700000000;a;1.234,50 €;1\n1700000000;b;12,5 %;0\n"
    )
    told = Declaration.from_json(views.for_ingestion(load_declaration(str(path))))
    plan = plan_reading(told, str(tmp_path))
    [rows] = read_piece(plan, cut(plan)[0])
    assert rows.rejects == []
    assert rows.typed["price"].to_list() == [1234.5, 12.5]
