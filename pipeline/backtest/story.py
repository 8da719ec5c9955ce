"""A backtest told in sentences."""

from __future__ import annotations

from pipeline.backtest.result import Backtest
from pipeline.compare.story import verdicts, within_domains
from pipeline.report.numbers import count, figure, plural


def outcome(backtest: Backtest) -> list[str]:
    """Who is first as the mean over the periods, how often the reference is ahead, and how it stands to the others."""
    first, reference = backtest.models[0], backtest.model(backtest.reference)
    if first.average_auc.mean is None:
        return ["No average AUC is defined: in one of the periods no domain counts."]
    over = plural(len(backtest.periods), "period")
    sentences = [f"Over {over}, {first.title} has the highest average AUC: {figure(first.average_auc.mean)}."]
    if first.name != reference.name:
        sentences[0] += (
            f" {reference.title} is number {reference.rank}, at {figure(reference.average_auc.mean)}."
        )
    others = [model for model in backtest.models if model.ahead is not None]
    if others and len(backtest.periods) > 1:
        firsts = sum(
            reference.periods[p].mean == max(model.periods[p].mean or 0.0 for model in backtest.models)
            for p in range(len(backtest.periods))
        )
        sentences.append(f"{reference.title} is first in {firsts} of the {over}.")
    told = verdicts(
        reference.title, [(model.title, model.versus) for model in others], backtest.bootstrap_samples
    )
    sentences += [told] if told else []
    rival = next((model for model in others if model.versus is not None), None)
    if rival is not None and rival.versus is not None:
        where = within_domains(
            reference.title, rival.title, rival.versus, backtest.domain, "that count in every period"
        )
        sentences += [where] if where else []
    return sentences


def protocol(backtest: Backtest) -> str:
    """What was done for each period."""
    tuned = f"a search over {plural(backtest.trials, 'set')} of settings, " if backtest.trials else ""
    trainings = plural(len(backtest.seeds), "training")
    return (
        f"For each period the log of {backtest.dataset} was read as if it had ended with it: vocabularies, moving "
        f"averages, {tuned}{trainings} of each model know no later row. The declared settings and the lookup tables "
        f"are those of today in every period. Each period counts alike; {count(backtest.users)} users are drawn once "
        "for all of them."
    )
