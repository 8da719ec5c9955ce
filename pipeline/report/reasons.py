"""Where a model is weakest, and what the run shows of the reasons."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from components.comparison.lead import NARROW, ONE_TRAINING, Lead, Verdict
from components.evaluator.results import DomainResult
from components.study.document import PAST_CLICK_RATE, IdGroup, Study, TrainedDomain
from pipeline.report.numbers import Z95, count, figure, listing, percent, signed
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
    if result.baseline_auc is not None and _lead(result, result.baseline_auc).verdict == "behind":
        higher = f"The last blessed model came out higher here: {figure(result.baseline_auc, 3)}"
        found.append(f"{higher} ({signed(own - result.baseline_auc, 3)}), {ONE_TRAINING}.")
    stands: dict[Verdict, dict[str, float]] = {}
    for baseline in summary.study.baselines if summary.study else []:
        auc = baseline.domains.get(name)
        if auc is not None:
            verdict = _lead(result, auc, baseline.leads.within.get(name)).verdict
            stands.setdefault(verdict, {})[baseline.name] = auc
    return found + [_STANDS[verdict](systems) for verdict, systems in stands.items()]


def _lead(result: DomainResult, other: float, paired: Lead | None = None) -> Lead:
    """How far the model is ahead in a domain of a system with this AUC there.

    Args:
      result: the domain.
      other: AUC of the other system.
      paired: of the same users, where that was worked out; else the model's own interval stands for it.
    """
    if paired is not None:
        return paired
    difference = (result.auc or 0.0) - other
    half = math.inf if result.auc_standard_error is None else Z95 * result.auc_standard_error
    return Lead(difference=difference, low=difference - half, high=difference + half)


def _better(systems: Mapping[str, float]) -> str:
    """Only what learns nothing is ahead beyond chance: of two that were trained once each it may be luck."""
    if PAST_CLICK_RATE in systems:
        rest = {name: auc for name, auc in systems.items() if name != PAST_CLICK_RATE}
        more = f"; {_named(rest)} came out higher, too" if rest else ""
        return (
            f"The {_named({PAST_CLICK_RATE: systems[PAST_CLICK_RATE]})} does better here, beyond chance{more}: the "
            "data holds more than this model has learned of it."
        )
    return f"{_named(systems)} came out higher here, which may be luck: each was trained once."


def _level(systems: Mapping[str, float]) -> str:
    # Whether the domain is hard is not shown: other inputs, or more rows, may tell more.
    why = (
        "the inputs say no more here yet than past clicks do"
        if PAST_CLICK_RATE in systems
        else f"another kind of model gains nothing here, {ONE_TRAINING}; other inputs or more rows may"
    )
    return f"Level with it, within {NARROW:g}, {_are(systems)} {_named(systems)}: {why}."


def _worse(systems: Mapping[str, float]) -> str:
    once = "" if PAST_CLICK_RATE in systems else f", {ONE_TRAINING}"
    return f"It is ahead here of {_named(systems)}{once}."


def _unknown(systems: Mapping[str, float]) -> str:
    return f"How it stands here to {_named(systems)} is not known: these rows are too few to tell."


_STANDS: dict[Verdict, Callable[[Mapping[str, float]], str]] = {
    "behind": _better,
    "tie": _level,
    "ahead": _worse,
    "unknown": _unknown,
}


def _are(systems: Mapping[str, float]) -> str:
    return "is" if len(systems) == 1 else "are"


def _named(systems: Mapping[str, float]) -> str:
    return listing([f"{system} ({figure(auc, 3)})" for system, auc in systems.items()])


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
    return f" (overall AUC with such {role}s {figure(rare.auc, 3)}, with known ones {figure(known.auc, 3)})"


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
