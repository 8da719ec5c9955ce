"""What to do once a run has ended: after a refusal, and after a push that a simple system puts in doubt."""

from __future__ import annotations

import shlex

from pipeline.report.numbers import listing
from pipeline.report.reasons import fallen_words
from pipeline.report.summary import RunSummary

# The end of the key of the bound that holds a model against the last blessed one.
_DROP = "average_auc.max_drop"
# Bounds on how high probabilities are, not on their order.
_LEVEL = ("thresholds.normalized_entropy.max", "thresholds.calibration.")
# Options of a run that a comparison takes, too.
_KEPT = ("--dataset", "--data", "--set")


def next_steps(summary: RunSummary) -> list[str]:
    """After a refusal: where its bounds were set, and what is usually done. After a push: see `after_push`."""
    if summary.blessed:
        return after_push(summary)
    evaluation = summary.evaluation
    if evaluation is None:
        return []
    both = fallen_words(summary)
    steps = [*([both] if both else []), *([summary.bounds] if summary.bounds else [])]
    lead = evaluation.lead
    if lead is not None and not lead.beyond_chance and any(_DROP in reason for reason in summary.reasons):
        steps.append(
            "The fall may be chance: its interval holds 0. More evaluation days (split.eval_days) or another seed "
            "(--set seed=2) say more; a larger max_drop lets such a change pass"
        )
    if summary.fixed and any(key in reason for key in _LEVEL for reason in summary.reasons):
        named = listing([f"{name} at {value}" for name, value in summary.fixed.items()])
        steps.append(
            f"Evaluation and serving have {named} (at_serving): another value there moves all probabilities, and "
            "without it they are judged at the place where each row stood"
        )
    return [*steps, "Which domains are served worst, and why, says the report"]


def after_push(summary: RunSummary) -> list[str]:
    """Of a model that passed its gates and is behind of a simple system: the command that tells what to ship."""
    evaluation = summary.evaluation
    if evaluation is None or summary.study is None or not summary.pushed_to or summary.unchanged_since:
        return []
    leads = {baseline.name: baseline.lead(evaluation.deciding) for baseline in summary.study.baselines}
    ahead = [name for name, lead in leads.items() if lead is not None and lead.verdict == "behind"]
    if not ahead:
        return []
    return [
        f"The gates ask for less than {listing(ahead)} {'reach' if len(ahead) > 1 else 'reaches'} here. Whether that "
        "holds over seeds, and which model to ship, says",
        f"  {_compare(summary)}",
    ]


def _compare(summary: RunSummary) -> str:
    """The command that compares this run's model with an MLP and with trees, in a root of its own."""
    words, kept, root = iter(shlex.split(summary.command)), list[str](), "out"
    for word in words:
        name, separate, value = word.partition("=")
        if name in (*_KEPT, "--root"):
            value = value if separate else next(words, "")
            kept += [name, value] if name in _KEPT else []
            root = value if name == "--root" else root
    models = dict.fromkeys([summary.model, "mlp", "lightgbm"])
    place = f"{root.rstrip('/')}-compared"
    return shlex.join(["dfei", "compare", *kept, "--root", place, "--models", ",".join(models)])
