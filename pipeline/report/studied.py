"""The sections of a run's page that come from the study: calibration, known and rare ids, importance, days."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from components.study.document import IdGroup, Study
from pipeline.report import curves, figures
from pipeline.report.numbers import UNDEFINED, count, duration, figure, percent, plural, signed
from pipeline.report.story import last_blessed
from pipeline.report.summary import RunSummary

SHOWN_INPUTS = 20
SHOWN_DOMAINS = 8
_Z95 = 1.96
_NAMES = {("user", True): "known users", ("user", False): "new or rare users"}
_NAMES |= {("item", True): "known items", ("item", False): "new or rare items"}


def studied_rows(study: Study) -> str:
    """ "all evaluation rows" or how many of them."""
    if study.rows == study.of:
        return "all evaluation rows"
    return f"{count(study.rows)} of about {count(study.of)} evaluation rows, evenly spread"


@dataclass(frozen=True)
class SystemRow:
    """A line of the table that compares the model with others on the same rows."""

    name: str
    what: str
    average_auc: float | None
    overall_auc: float | None
    log_loss: float | None
    gain: str


def systems(summary: RunSummary) -> list[SystemRow]:
    """The model, the last blessed one, the baselines and the best possible, with what the model gains over each."""
    evaluation = summary.evaluation
    if evaluation is None:
        return []
    own = evaluation.average_auc

    def gain(other: float | None) -> str:
        return UNDEFINED if own is None or other is None else signed(own - other)

    rows = [
        SystemRow(
            summary.model_title,
            "this model",
            own,
            evaluation.overall_auc,
            evaluation.log_loss,
            "",
        )
    ]
    if evaluation.baseline is not None:
        last = evaluation.baseline
        rows.append(
            SystemRow(
                last_blessed(summary).removeprefix("the "),
                "served before it" if summary.is_served else "served until now",
                last.average_auc,
                last.auc,
                last.log_loss,
                gain(last.average_auc),
            )
        )
    for baseline in summary.study.baselines if summary.study else []:
        average = baseline.average_auc(evaluation.deciding)
        rows.append(
            SystemRow(
                baseline.name,
                baseline.description,
                average,
                baseline.overall_auc,
                baseline.log_loss,
                gain(average),
            )
        )
    best = summary.best_possible_auc
    if best is not None:
        rows.append(
            SystemRow(
                "best possible",
                "the true click probabilities",
                best.average,
                best.overall,
                None,
                gain(best.average),
            )
        )
    return rows if len(rows) > 1 else []


def calibration_section(summary: RunSummary) -> list[tuple[str, dict[str, Any]]]:
    """A reliability diagram of all rows and of the largest domains."""
    study = summary.study
    if study is None:
        return []
    found = []
    for name, bins in list(study.calibration.items())[: SHOWN_DOMAINS + 1]:
        if len(bins) < 2:
            continue
        title = summary.domain_title(name) if name else "all domains"
        found.append(
            (
                title,
                curves.reliability(
                    [entry.predicted for entry in bins],
                    [entry.observed for entry in bins],
                    [entry.rows for entry in bins],
                ),
            )
        )
    return found


@dataclass(frozen=True)
class GroupsSection:
    """Known and rare ids: the figure, the table and what they say."""

    rows: list[tuple[str, IdGroup, float | None]]
    dots: dict[str, Any] | None
    words: str


def groups_section(summary: RunSummary) -> GroupsSection | None:
    """Scores by how well user and item were known; None where no id is a feature."""
    study = summary.study
    if study is None or not study.groups:
        return None
    rows = [
        (
            _NAMES[group.role, group.known],
            group,
            None if group.auc_standard_error is None else _Z95 * group.auc_standard_error,
        )
        for group in study.groups
    ]
    overall = summary.evaluation.overall_auc if summary.evaluation else None
    dots = figures.dot_plot(
        [name for name, _, _ in rows],
        [None if spread is None else group.auc for _, group, spread in rows],
        spread=[spread for _, _, spread in rows],
        sizes=[count(group.rows) for _, group, _ in rows],
        notes=[_unknown(group, spread) for _, group, spread in rows],
        line=overall,
        line_name=f"overall {figure(overall)}" if overall is not None else "",
        title="overall AUC",
    )
    apart = any(not group.known for group in study.groups)
    return GroupsSection(rows if apart else [], dots if apart else None, _group_words(study))


def _unknown(group: IdGroup, spread: float | None) -> str:
    """Why a group's AUC is not shown: of one click it may be anything."""
    if group.auc is None:
        return "one class"
    return "too few of a class" if spread is None else ""


def _group_words(study: Study) -> str:
    words = []
    for role in ("user", "item"):
        groups = {group.known: group for group in study.groups if group.role == role}
        if not groups:
            continue
        some = next(iter(groups.values()))
        share = groups[False].rows / sum(group.rows for group in groups.values()) if False in groups else 0.0
        than = f"fewer than {some.min_count} training rows" if some.min_count > 1 else "no training row"
        if share == 0.0:
            words.append(f"every {role} of the evaluation rows was known in training ({some.column})")
            continue
        whose = "an item" if role == "item" else "a user"
        words.append(f"{percent(share)} of the impressions have {whose} with {than} ({some.column})")
    text = "; ".join(words)
    return f"{text[:1].upper()}{text[1:]}."


def importance_section(summary: RunSummary) -> dict[str, Any] | None:
    """The inputs that the ranking leans on most; None without a study."""
    study = summary.study
    if study is None or not study.importance:
        return None
    # What has one value for all rows when the model is asked (`at_serving`) moves nothing when it is shuffled.
    entries = [entry for entry in study.importance if entry.drop or entry.standard_error]
    shown, rest = entries[:SHOWN_INPUTS], entries[SHOWN_INPUTS:]
    clear = [entry for entry in shown if entry.drop > _Z95 * entry.standard_error]
    first = ", ".join(f"{entry.name} ({figure(entry.drop, 3)})" for entry in clear[:3])
    return {
        "words": f"Most is lost without {first}."
        if clear
        else "No input alone loses more than chance would.",
        "rows": study.importance_rows,
        "rest": f"The other {plural(len(rest), 'input')} {_at_most(max(e.drop for e in rest))}."
        if rest
        else "",
        "bars": figures.bars(
            [entry.name for entry in shown],
            [max(entry.drop, 0.0) for entry in shown],
            [f"{figure(entry.drop)} ± {figure(_Z95 * entry.standard_error)}" for entry in shown],
            [entry.drop <= _Z95 * entry.standard_error for entry in shown],
        ),
    }


def _at_most(drop: float) -> str:
    """
    >>> _at_most(0.0123), _at_most(-0.0016)
    ('lose 0.0123 or less each', 'lose nothing')
    """
    return f"lose {figure(drop)} or less each" if drop > 0 else "lose nothing"


def days_section(summary: RunSummary) -> dict[str, Any] | None:
    """Impressions and click rate by day; None without a study."""
    study = summary.study
    if study is None or not study.days:
        return None
    return curves.days(
        [entry.day for entry in study.days],
        [entry.rows for entry in study.days],
        [entry.positives / entry.rows for entry in study.days],
        [entry.split == "eval" for entry in study.days],
    )


def study_cost(study: Study) -> str:
    """What the study added to the run."""
    parts = ", ".join(f"{baseline.name} {duration(baseline.seconds)}" for baseline in study.baselines)
    spent = f"{duration(study.seconds)} of the Trainer's time, {duration(study.cpu_seconds)} of a processor's"
    return f"The study of the model took {spent} ({parts})."
