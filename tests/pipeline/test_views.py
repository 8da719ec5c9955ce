from __future__ import annotations

from components.dataset.declaration import Declaration
from components.dataset.loader import load_declaration
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
