"""A run told in sentences: what data, how good, what was decided, where it is weakest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from components.comparison.lead import NARROW, ONE_TRAINING, Lead
from components.evaluator.results import EvaluationResult
from components.study.document import PAST_CLICK_RATE
from models.metrics import needed, telling_rows
from pipeline.report.numbers import (
    UNDEFINED,
    count,
    day,
    figure,
    listing,
    moment,
    plural,
    short,
    signed,
)
from pipeline.report.reasons import WeakDomain, fallen_words, off_by, off_words, weakest
from pipeline.report.summary import RunSummary


@dataclass(frozen=True)
class Verdict:
    """How a run ended: `good` colours the words."""

    good: bool
    mark: Literal["✓", "✗", "="]
    words: str


def verdict(summary: RunSummary) -> Verdict:
    """Blessed and pushed, or not, or nothing new."""
    if summary.pushed_to and summary.unchanged_since:
        return Verdict(True, "=", f"Nothing changed since {moment(summary.unchanged_since)}, still served")
    if summary.pushed_to and summary.pushed_to == summary.still_served:
        return Verdict(True, "=", "Blessed again, the same model, still served")
    if summary.pushed_to:
        return Verdict(True, "✓", "Blessed and pushed")
    if summary.blessed:
        return Verdict(True, "✓", "Blessed, not pushed")
    return Verdict(False, "✗", "Not blessed")


def data_sentence(summary: RunSummary) -> str:
    """What the model learned from and was evaluated on."""
    train, evaluated = summary.rows.get("train"), summary.rows.get("eval")
    without = gaps_words(summary.ingest)
    gaps = f" The log has no rows of {without}." if without else ""
    if train is None:
        return f"{summary.model_title} on {summary.dataset}{_when(summary, 'first_day', 'last_day')}.{gaps}"
    kept = (
        f" The last days{_when(summary, 'first_eval_day', 'last_day')}, {count(evaluated)} impressions, were kept back "
        "to judge it."
        if evaluated is not None
        else ""
    )
    when = _when(summary, "first_day", "last_train_day")
    return f"{summary.model_title} learned from {count(train)} impressions of {summary.dataset}{when}.{kept}{gaps}"


def gaps_words(ingest: Mapping[str, Any], shown: int = 5) -> str:
    """The days inside the log that have no row: "6 May 2026, 9 May 2026 to 11 May 2026"; empty where all have."""
    gaps = [(day(first), day(last)) for first, last in ingest.get("gaps") or ()]
    named = [first if first == last else f"{first} to {last}" for first, last in gaps[:shown]]
    more = [f"{plural(len(gaps) - shown, 'more gap')}"] if len(gaps) > shown else []
    return listing([*named, *more]) if gaps else ""


def _when(summary: RunSummary, first: str, last: str) -> str:
    """ ", 1 March 2026 to 12 March 2026"; empty where the run does not say."""
    days = [day(summary.ingest.get(key)) for key in (first, last)]
    if UNDEFINED in days:
        return ""
    return f", {days[0]}" if days[0] == days[1] else f", {days[0]} to {days[1]}"


def quality_sentences(evaluation: EvaluationResult) -> list[str]:
    """How good the model is, and what the average is taken over."""
    average, deciding = evaluation.average_auc, evaluation.deciding
    if average is None:
        few = few_words(evaluation)
        return [
            f"The average AUC is undefined: no domain has {needed(evaluation.min_rows)} in the evaluation.",
            *([f"{few[:1].upper()}{few[1:]}."] if few else []),
        ]
    rest = len(evaluation.domains) - len(deciding)
    others = (
        f" {plural(rest, 'other')} {'has' if rest == 1 else 'have'} too few rows of a class: they never decide."
        if rest
        else ""
    )
    sentences = [
        f"Of a clicked and a not clicked impression in the same domain it ranks the clicked one higher in "
        f"{100 * average:.0f} of 100 cases: the average AUC is {figure(average)}, over the "
        f"{plural(len(deciding), 'domain')} with {needed(evaluation.min_rows)}.{others}"
    ]
    if evaluation.overall_auc is not None:
        sentences.append(f"Over all rows together the AUC is {figure(evaluation.overall_auc)}.")
    return sentences


def comparison_sentences(summary: RunSummary) -> list[str]:
    """Against the last blessed model and against the best possible."""
    sentences = []
    evaluation = summary.evaluation
    own = evaluation.average_auc if evaluation else None
    earlier = evaluation.baseline.average_auc if evaluation and evaluation.baseline else None
    if own is not None and earlier is not None and not summary.unchanged_since:
        change = (
            signed(own - earlier)
            if evaluation is None or evaluation.lead is None
            else told(evaluation.lead, trained=True)
        )
        sentences.append(
            f"{last_blessed(summary).capitalize()} reaches {figure(earlier)} on the same rows: this one {change}."
        )
    if own is not None and evaluation is not None and summary.study is not None:
        sentences += [
            f"{name[:1].upper()}{name[1:]}: {words}." for name, words in lead_words(summary, evaluation)
        ]
        overall = behind_overall(summary)
        sentences += [f"{overall[:1].upper()}{overall[1:]}."] if overall else []
    best = summary.best_possible_auc
    if own is not None and best is not None and best.average is not None:
        sentences.append(
            f"The true click probabilities of this simulated feed reach {figure(best.average)}, which no model can "
            f"honestly beat: the distance is {figure(best.average - own)}."
        )
    return sentences


def lead_words(summary: RunSummary, evaluation: EvaluationResult) -> list[tuple[str, str]]:
    """For each simple system its name, and how it compares: its average AUC, the distance, whether beyond chance."""
    found = []
    for baseline in summary.study.baselines if summary.study else []:
        average = baseline.average_auc(evaluation.deciding)
        if average is None or evaluation.average_auc is None:
            continue
        lead, gain = baseline.lead(evaluation.deciding), evaluation.average_auc - average
        if lead is None:
            # An interval over other domains than those that decide would contradict the table.
            words = f"{figure(average)}, this model {signed(gain)}: not known, of these domains there is no interval"
            found.append((baseline.name, words))
            continue
        words = told(lead, trained=baseline.name != PAST_CLICK_RATE)
        found.append((baseline.name, f"{figure(average)}, this model {words}"))
    return found


def behind_overall(summary: RunSummary) -> str | None:
    """Where the past click rate is ahead of the model over all rows together, which no gate holds it against."""
    past = next(
        (
            found
            for found in (summary.study.baselines if summary.study else [])
            if found.name == PAST_CLICK_RATE
        ),
        None,
    )
    if past is None:
        return None
    named = [
        f"{title} {figure(value)}, this model {signed(sign * lead.difference)} (95 % of resampled users "
        f"{' to '.join(signed(sign * end) for end in (lead.low, lead.high)[::sign])})"
        for title, value, lead, sign in (
            ("overall AUC", past.overall_auc, past.leads.overall, 1),
            ("log loss", past.log_loss, past.leads.log_loss, -1),
        )
        if value is not None and lead is not None and lead.high < 0
    ]
    said = f"{PAST_CLICK_RATE} does better over all rows together, beyond chance"
    return f"{said}: {', '.join(named)}" if named else None


_VERDICTS = {"ahead": "ahead", "behind": "behind", "tie": f"a tie, level within {NARROW:g}"}


def told(lead: Lead, trained: bool) -> str:
    """A difference with its interval, and what it allows to say.

    Args:
      lead: the model's.
      trained: whether the other one was trained, too. Each was once: what another seed makes of either is not in the
        interval, so that no difference between the two is called beyond chance.
    """
    interval = f"95 % of resampled users {signed(lead.low)} to {signed(lead.high)}"
    found = lead.verdict
    if found == "unknown":
        why = "the domains that tell most do not agree" if lead.beyond_chance else "the interval is wide"
        words = f"not known, {why}"
    elif trained:
        words = f"{_VERDICTS[found]}, {ONE_TRAINING}"
    else:
        words = _VERDICTS[found] + (" beyond chance" if found != "tie" else "")
    return f"{signed(lead.difference)} ({interval}): {words}"


def few_words(evaluation: EvaluationResult) -> str | None:
    """That all rows together tell little, and what to do; None where they tell as much as a domain that decides, or
    where the model was refused for it.
    """
    if any("evaluation.min_rarer" in reason for reason in evaluation.failures):
        return None
    if telling_rows(evaluation.rows, evaluation.positives) >= evaluation.min_rows:
        return None
    return (
        f"the evaluation has {plural(evaluation.positives, 'click')} in {plural(evaluation.rows, 'row')}: too few of a "
        "class to tell a good model from a bad one; give more days of logs, or a larger split.eval_days, before you "
        "believe the gates"
    )


def uncounted_words(evaluation: EvaluationResult, shown: int = 3) -> str | None:
    """Which domains have no say in the average, and why; None where all have."""
    others = {name: domain for name, domain in evaluation.domains.items() if not domain.decides}
    if not others:
        return None
    named = [
        f"{short(name)} ({'one class' if domain.one_class else plural(domain.rows, 'row')}, "
        f"{plural(domain.positives, 'click')})"
        for name, domain in list(others.items())[:shown]
    ]
    more = f" and {len(others) - shown} more" if len(others) > shown else ""
    return f"no say in the average: {', '.join(named)}{more}"


def weakness_sentences(summary: RunSummary) -> list[str]:
    """The domains served worst, and those whose probabilities are farthest off; of both only what chance cannot be."""
    evaluation = summary.evaluation
    if evaluation is None:
        return []
    sentences = []
    weak = weakest(summary)
    clear = [domain for domain in weak if domain.clear]
    if clear:
        sentences.append(
            f"Served worst: {listing([_auc_range(domain) for domain in clear])}; the reasons are below."
        )
    elif weak:
        low = listing([_auc_range(domain) for domain in weak])
        sentences.append(f"No domain is below the average beyond chance; the lowest: {low}.")
    off = {
        name: share for name, domain in evaluation.domains.items() if (share := off_by(domain)) is not None
    }
    farthest = sorted(off, key=lambda name: -abs(off[name]))[:3]
    if farthest:
        named = [f"{summary.domain_title(name)} ({off_words(off[name])})" for name in farthest]
        sentences.append(f"Probabilities are farthest off in {listing(named)}.")
    return sentences


def decision_sentences(summary: RunSummary) -> list[str]:
    """Blessed or not, why, and where it was pushed."""
    gates = summary.evaluation.gates if summary.evaluation else []
    passed = f"It passed all {plural(len(gates), 'gate')}" if len(gates) > 1 else "It passed its gate"
    if summary.blessed:
        first = summary.evaluation is not None and summary.evaluation.baseline is None
        earlier = "; there was no earlier blessed model to compare with" if first and gates else ""
        pushed = f" It is served from {summary.pushed_to}." if summary.pushed_to else " It was not pushed."
        return [f"{passed if gates else 'It was blessed'}{earlier}.{pushed}"]
    both = fallen_words(summary)
    served = f" {served_words(summary)}.{f' {both}.' if both else ''}"
    if not summary.reasons:
        return [f"It was not blessed, and nothing was pushed.{served}"]
    return [f"It was not blessed, and nothing was pushed: {'; '.join(summary.reasons)}.{served}"]


def served_words(summary: RunSummary) -> str:
    """What is served after a refusal."""
    if not summary.still_served:
        return "Nothing is served yet"
    this = ", which is this very model, blessed under other bounds" if summary.is_served else ""
    return f"Still served: {summary.still_served}{this}"


def last_blessed(summary: RunSummary) -> str:
    """What the baseline is: of a model that is judged once more, the one before it."""
    return "the model blessed before it" if summary.is_served else "the last blessed model"


def _auc_range(domain: WeakDomain) -> str:
    spread = f" ± {domain.spread:.3f}" if domain.spread is not None else ""
    return f"{domain.name} (AUC {figure(domain.auc, 3)}{spread}, {count(domain.rows)} rows)"
