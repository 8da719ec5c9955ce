"""Where a model is weakest, and what the run shows of the reasons."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from components.comparison.lead import ONE_TRAINING
from components.evaluator.results import DomainResult
from components.study.document import PAST_CLICK_RATE, IdGroup, Study, TrainedDomain
from pipeline.report.numbers import Z95, count, figure, percent, signed
from pipeline.report.summary import RunSummary

SHOWN = 3
# Differences of AUC below this are not worth a word; of calibration and of click rates, this share.
_TIE = 0.005
_OFF = 0.1
# Fewer training clicks, or non-clicks, than this leave a domain's own part of the model to guesses.
_FEW_OF_A_CLASS = 1000


class Rates(Protocol):
    """Rows with their clicks, and how many were predicted for each."""

    @property
    def rows(self) -> int: ...
    @property
    def positives(self) -> int: ...
    @property
    def calibration(self) -> float | None: ...


@dataclass(frozen=True)
class WeakDomain:
    """A domain that is served badly.

    Attributes:
      name: with what it is, "tab 4".
      auc, rows, spread: as evaluated; `spread` is half the 95 % interval.
      clear: whether its interval ends below the average.
      reasons: what speaks for a cause, one sentence each; the strongest first.
    """

    name: str
    auc: float
    rows: int
    spread: float | None
    clear: bool
    reasons: list[str]


def weakest(summary: RunSummary) -> list[WeakDomain]:
    """The deciding domains with the lowest AUC, at most three, and fewer than there are."""
    evaluation = summary.evaluation
    if evaluation is None or evaluation.average_auc is None:
        return []
    evaluated = {name: result for name, result in evaluation.domains.items() if result.decides}
    worst = sorted(evaluated, key=lambda name: evaluated[name].auc or 0.0)[: min(SHOWN, len(evaluated) - 1)]
    found = []
    for name in worst:
        result = evaluated[name]
        spread = None if result.auc_standard_error is None else Z95 * result.auc_standard_error
        auc = result.auc or 0.0
        found.append(
            WeakDomain(
                name=summary.domain_title(name),
                auc=auc,
                rows=result.rows,
                spread=spread,
                clear=spread is not None and auc + spread < evaluation.average_auc,
                reasons=_reasons(summary, name, result),
            )
        )
    return found


def fallen_words(summary: RunSummary) -> str | None:
    """Of a refused run, whether the last blessed model does badly on the same rows too: then it may be the rows."""
    evaluation = summary.evaluation
    if summary.blessed or summary.is_served or evaluation is None or evaluation.baseline is None:
        return None
    here, own_run, own = evaluation.baseline, summary.blessed_before, evaluation.overall
    if own_run is None:
        if here.auc is None or own.auc is None or here.auc > own.auc + _TIE:
            return None
        return (
            f"The model blessed before does no better on these rows (overall AUC {figure(here.auc)}); what it had in "
            "its own run is not known here: where that was more, look at these days' labels"
        )
    average, overall = (
        evaluation.average_auc_standard_error,
        (here.auc_standard_error, own_run.auc_standard_error),
    )
    fallen = [
        f"{title} {figure(before)} in its own run, {figure(now)} here"
        for title, before, now, errors in (
            ("average AUC", own_run.average_auc, here.average_auc, (average, average)),
            ("overall AUC", own_run.auc, here.auc, overall),
        )
        if before is not None
        and now is not None
        and before - now > Z95 * math.hypot(*(e or 0.0 for e in errors))
    ]
    if not fallen:
        return None
    return (
        f"The model blessed before falls on these rows too ({'; '.join(fallen)}): look at these days' labels"
    )


def off_by(result: Rates) -> float | None:
    """By which share the predictions are too high (too low: negative); None where it is little, or may be chance."""
    if result.calibration is None or not result.positives:
        return None
    off = result.calibration - 1
    error = result.calibration * math.sqrt((1 - result.positives / result.rows) / result.positives)
    return off if abs(off) > max(_OFF, 3 * error) else None


def off_words(off: float) -> str:
    """Such a share in words.

    >>> off_words(-0.2)
    '20 % too low'
    """
    return f"{percent(abs(off), 0)} too {'high' if off > 0 else 'low'}"


def _reasons(summary: RunSummary, name: str, result: DomainResult) -> list[str]:
    found = [*_against_others(summary, name, result)]
    study = summary.study
    trained = study.domains.get(name) if study else None
    if study is not None and trained is not None:
        found += _little_data(study, trained)
        found += _drift(result, trained)
        found += _rare_ids(study, trained)
    found += _wide(result)
    off = off_by(result)
    if off is not None:
        found.append(f"Its probabilities are {off_words(off)} on average.")
    return found or ["Nothing that this report records sets it apart: look at its features and its rows."]


def _against_others(summary: RunSummary, name: str, result: DomainResult) -> list[str]:
    """Is the domain hard, or is it the model?"""
    own = result.auc or 0.0
    found = []
    best = summary.best_possible_auc
    possible = best.domains.get(name) if best else None
    if possible is not None:
        if possible - own < 2 * _TIE:
            found.append(f"No model can do much better: the true probabilities reach {figure(possible, 3)}.")
        else:
            found.append(
                f"It is {figure(possible - own, 3)} short of what the true probabilities reach "
                f"({figure(possible, 3)})."
            )
    if result.baseline_auc is not None and result.baseline_auc > own + _TIE:
        found.append(
            f"The last blessed model did better here: {figure(result.baseline_auc, 3)} "
            f"({signed(own - result.baseline_auc, 3)})."
        )
    baselines = {
        baseline.name: auc
        for baseline in (summary.study.baselines if summary.study else [])
        if (auc := baseline.domains.get(name)) is not None
    }
    if baselines:
        text = _named(baselines)
        top = max(baselines.values())
        better = [other for other in baselines if _does_better(summary, other, name, result)]
        if better:
            once = "" if PAST_CLICK_RATE in better else f", {ONE_TRAINING}"
            found.append(
                f"A simple system does better here ({text}){once}: the data holds more than this model has learned of "
                "it."
            )
        elif top > own - 2 * _TIE:
            level = {baseline: auc for baseline, auc in baselines.items() if auc > own - 2 * _TIE}
            rest = {baseline: auc for baseline, auc in baselines.items() if baseline not in level}
            # Whether the domain is hard is not shown: other inputs, or more rows, may tell more.
            why = (
                "the inputs say no more here yet than past clicks do"
                if PAST_CLICK_RATE in level
                else "whether another kind of model gains here these rows do not tell"
                if top > own + _TIE
                else "another kind of model gains nothing here; other inputs or more rows may"
            )
            behind = f", not {_named(rest)}" if rest else ""
            found.append(f"About as well does {_named(level)}{behind}: {why}.")
        else:
            found.append(f"Simple systems do worse here ({text}).")
    return found


def _does_better(summary: RunSummary, system: str, domain: str, result: DomainResult) -> bool:
    """Whether a simple system is ahead in a domain by more than users drawn by chance make of it."""
    for baseline in summary.study.baselines if summary.study else []:
        auc = baseline.domains.get(domain)
        if baseline.name != system or auc is None or auc <= (result.auc or 0.0) + _TIE:
            continue
        paired = baseline.leads.within.get(domain)
        if paired is not None:
            return paired.high < 0
        return auc > (result.auc or 0.0) + Z95 * (result.auc_standard_error or 0.0)
    return False


def _named(baselines: Mapping[str, float]) -> str:
    return ", ".join(f"{baseline} {figure(auc, 3)}" for baseline, auc in baselines.items())


def _little_data(study: Study, trained: TrainedDomain) -> list[str]:
    total = sum(domain.rows for domain in study.domains.values())
    share = trained.rows / total if total else 0.0
    rarer = min(trained.positives, trained.rows - trained.positives)
    if rarer < _FEW_OF_A_CLASS:
        what = "clicks" if trained.positives == rarer else "impressions without a click"
        return [
            f"Training had only {count(rarer)} {what} of it "
            f"({count(trained.rows)} impressions, {percent(share)} of all)."
        ]
    if share < 0.5 / len(study.domains):
        return [f"Training had only {count(trained.rows)} impressions of it, {percent(share)} of all."]
    if share > 2 / len(study.domains):
        return [
            f"It does not lack data: training had {count(trained.rows)} impressions of it, {percent(share)} of all."
        ]
    return []


def _drift(result: DomainResult, trained: TrainedDomain) -> list[str]:
    """A click rate that moved by more than a tenth, and by more than chance would move it."""
    if not trained.rows or not result.rows:
        return []
    before, after = trained.positives / trained.rows, result.positives / result.rows
    pooled = (trained.positives + result.positives) / (trained.rows + result.rows)
    error = math.sqrt(pooled * (1 - pooled) * (1 / trained.rows + 1 / result.rows))
    if not before or abs(after / before - 1) < _OFF or abs(after - before) < 3 * error:
        return []
    return [
        f"Its click rate moved from {percent(before)} in training to {percent(after)} on the evaluation days."
    ]


def _rare_ids(study: Study, trained: TrainedDomain) -> list[str]:
    """Clearly more rows with ids that training hardly knew than elsewhere."""
    found = []
    for role, share in (("item", trained.rare_items), ("user", trained.rare_users)):
        groups = {group.known: group for group in study.groups if group.role == role}
        rare, known = groups.get(False), groups.get(True)
        if share is None or rare is None or known is None:
            continue
        overall = rare.rows / (rare.rows + known.rows)
        if share > 1.25 * overall and share - overall > 0.02:
            found.append(
                f"{percent(share, 0)} of its impressions are of {role}s that training hardly knew, "
                f"{percent(overall, 0)} over all domains{_what_rare_costs(role, rare, known)}."
            )
    return found


def _what_rare_costs(role: str, rare: IdGroup, known: IdGroup) -> str:
    if rare.auc is None or known.auc is None:
        return ""
    little = ", which costs little" if known.auc - rare.auc < 4 * _TIE else ""
    return f"{little} (overall AUC with such {role}s {figure(rare.auc, 3)}, with known ones {figure(known.auc, 3)})"


def _wide(result: DomainResult) -> list[str]:
    """An interval so wide that the domain may not be bad at all."""
    rarer = min(result.positives, result.rows - result.positives)
    error = result.auc_standard_error
    if error is None or Z95 * error < 0.03:
        return []
    what = "clicks" if result.positives == rarer else "impressions without a click"
    return [
        f"It was evaluated on only {count(rarer)} {what}: its AUC is known to ± {figure(Z95 * error, 3)}."
    ]
