"""A study told in sentences."""

from __future__ import annotations

from pipeline.report.numbers import plural
from pipeline.study.result import SIGNIFICANT, StudyResult


def outcome(result: StudyResult) -> list[str]:
    """How many differences are beyond chance, and in which direction."""
    family = [test for test in result.tests if test.adjusted is not None]
    if not family:
        return ["Nothing was tested: no group has an AUC for two systems."]
    ahead = [test for test in family if test.verdict == "ahead"]
    behind = [test for test in family if test.verdict == "behind"]
    words = (
        f"Of {plural(len(family), 'test')} {len(ahead)} "
        f"{'finds' if len(ahead) == 1 else 'find'} the reference ahead beyond chance and {len(behind)} behind; the "
        "others can't tell."
    )
    found = [group for point in result.points for group in point.groups.values()]
    expected = (
        [
            "Figures are those to be expected of the true click probabilities, so that chance is in the rows and the "
            "trainings, not in the clicks."
        ]
        if found and all(group.expected for group in found)
        else []
    )
    return [words, *expected, protocol(result)]


def protocol(result: StudyResult) -> str:
    """How it was tested."""
    seeds = (
        f"over {plural(len(result.seeds), 'seed')} and users together"
        if len(result.seeds) > 1
        else "over users alone: one seed tells nothing of another start of training"
    )
    return (
        f"Differences are tested {seeds}, paired, {result.samples} resampled sets of users; beyond chance is a p value "
        f"below {SIGNIFICANT} after Holm's correction for all tests of the study."
    )
