"""What the report says of a study is what its figures bear."""

from __future__ import annotations

from components.study.document import IdGroup, Importance, Study
from pipeline.report.studied import groups_section, importance_section
from tests.pipeline.report.summaries import run


def study(**parts: object) -> Study:
    plain = run().study
    assert plain is not None
    return plain.model_copy(update=parts)


def test_only_inputs_beyond_chance_are_said_to_matter() -> None:
    inputs = [
        Importance(name="hours", kind="feature", drop=0.0195, standard_error=0.015),
        Importance(name="land", kind="feature", drop=0.017, standard_error=0.002),
        Importance(name="place", kind="feature", drop=0.0, standard_error=0.0),
    ]
    section = importance_section(run(study=study(importance=inputs)))
    assert section is not None
    assert section["words"] == "Most is lost without land (0.017)."
    # One that is fixed when the model is asked cannot be shuffled.
    assert "place" not in str(section["bars"])
    section = importance_section(run(study=study(importance=inputs[:1])))
    assert section is not None
    assert section["words"] == "No input alone loses more than chance would."


def test_the_auc_of_one_click_is_not_drawn() -> None:
    groups = [
        IdGroup(
            role="user",
            column="u",
            known=True,
            min_count=5,
            rows=9000,
            positives=260,
            auc=0.7,
            auc_standard_error=0.01,
        ),
        IdGroup(role="user", column="u", known=False, min_count=5, rows=139, positives=1, auc=0.11),
    ]
    section = groups_section(run(study=study(groups=groups)))
    assert section is not None
    assert "too few of a class" in str(section.dots)
    assert "0.11" not in str(section.dots)
