"""What `dfei study` is told, and the plans that come of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.compare.variants import VARIANTS
from pipeline.study import cold, cost, decay, domains, paper
from pipeline.study.plan import StudyRequest

REQUEST = StudyRequest(Path("/root"), ("dfei", "mlp"), seeds=2, overrides=("seed=7",), command="dfei study x")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["domains", "--domains", "5,many"], "--domains 5,many: give whole numbers separated by commas"),
        (["cold", "--seen", ""], "--seen : give whole numbers"),
        (["cold", "--hold", "3"], "--hold: a third of a simulated feed's domains is new, whatever is named"),
        (
            ["cold", "--dataset", "kuairand-pure", "--data", "."],
            "--hold: name the domains of kuairand-pure that are to be new",
        ),
    ],
)
def test_what_is_no_number_is_refused(words: list[str], message: str, tmp_path: Path) -> None:
    found = CliRunner().invoke(app, ["study", *words, "--root", str(tmp_path)])
    assert found.exit_code == 2
    assert message in found.stderr


def test_every_study_has_the_options_of_all_and_defaults_of_its_own() -> None:
    commands = typer.main.get_command(app).commands["study"].commands  # type: ignore[attr-defined]
    assert set(commands) == {"domains", "cold", "decay", "cost", "paper"}
    options = {name: {one.name: one for one in command.params} for name, command in commands.items()}
    shared = set.intersection(*(set(found) for found in options.values()))
    assert shared >= {"root", "models", "seeds", "trials", "jobs", "settings", "quiet", "as_json"}
    assert {name: found["seeds"].default for name, found in options.items() if name in ("cost", "cold")} == {
        "cost": 1,
        "cold": 3,
    }
    for found in options.values():
        assert set(found["models"].default[0].split(",")) <= set(VARIANTS)
    assert "--decays" in options["decay"]["decays"].opts


def test_every_point_has_a_folder_of_its_own_and_the_settings_of_all() -> None:
    plans = [
        domains.plan(REQUEST, [5, 21], 1000, None),
        cold.plan(REQUEST, [0, 100], "simulated", None, [], 21, 1000),
        cold.plan(REQUEST, [0, 100], "kuairand-pure", Path("logs"), ["2", "6"], 21, 1000),
        decay.plan(REQUEST, ["auto", "0.5"], "simulated", None, 21, 1000),
        cost.plan(REQUEST, [5, 100], 1000),
        paper.plan(REQUEST, "simulated", None, ["2024-01-13", "2024-01-15"], 21, 1000),
    ]
    for plan in plans:
        names = [point.name for point in plan.points]
        assert len(set(names)) == len(names)
        assert all(name.replace("-", "").replace(".", "").isalnum() for name in names)
        for point in plan.points:
            assert point.request.overrides[0] == "seed=7"
            assert (point.request.models, point.request.seeds) == (("dfei", "mlp"), 2)
            assert not point.request.evaluator
            assert point.request.latency == (plan.name == "cost")
    by_name = {plan.name: plan for plan in plans}
    assert by_name["decay"].reference_point == by_name["decay"].points[0].name
    assert "moving_average.decay=auto" in by_name["decay"].points[1].request.overrides
    assert len(by_name["paper"].points) == 4
    assert "split.before=2024-01-13" in by_name["paper"].points[0].request.overrides


def test_feeds_may_grow_with_the_domains(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(
        "pipeline.study.feeds.feed", lambda root, domains, rows: asked.append((domains, rows))
    )
    for rows_per_domain in (None, 30):
        for point in domains.plan(REQUEST, [5, 21], 1000, rows_per_domain).points:
            assert point.data is not None
            point.data(Path("/root"))
    assert asked == [(5, 1000), (21, 1000), (5, 150), (21, 630)]


def test_real_logs_are_read_where_they_are() -> None:
    plan = paper.plan(REQUEST, "kuairand-pure", Path("/logs"), [], 21, 1000)
    assert all(point.data is None and point.request.data == Path("/logs") for point in plan.points)
