"""What to do with a comparison: which model to ship, why, and the command for it; or what was shipped and why."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from components.champion.choice import Choice, costs_less
from components.comparison.lead import NARROW, ONE_TRAINING
from pipeline.compare.result import Compared, Comparison, Versus
from pipeline.report.numbers import figure, listing, percent, signed

_CHAMPION = "--champion"
_FLAGS = ("--push", "--no-push", "--quiet", "-q", "--json")
_STANDS = {
    "ahead": "{} is ahead of",
    "tie": f"{{}} is level, within {NARROW:g}, with",
    "behind": "{} is behind",
    "unknown": "it is not known how {} stands to",
}


def advice(comparison: Comparison) -> str:
    """The last lines: what to ship and why, and the command for it or that it was done.

    With and without `--push` it names the model that the validation days choose (`components.champion.choice`), with
    `--champion` the user's. Empty where no gate judged.
    """
    if not comparison.gated:
        return ""
    choice, champion = comparison.choice(), comparison.champion
    if choice is None:
        return "Nothing to ship: no model passed its gates."
    if comparison.refused:
        what = comparison.model(champion.name).title if champion is not None else "what --champion named"
        return f"Not shipped: {what} was not pushed. {_by_itself(comparison, choice)}"
    if champion is None:
        why = _why(comparison, choice)
        return f"Ship {comparison.model(choice.name).title}: {why}\n  {command(comparison.command)}"
    if champion.name == choice.name:
        return f"Shipped {comparison.model(choice.name).title}: {_why(comparison, choice)}"
    return (
        f"Shipped {comparison.model(champion.name).title}, your choice ({_CHAMPION}). "
        f"{_by_itself(comparison, choice)} {_judged(comparison)}"
    ).rstrip()


def _by_itself(comparison: Comparison, choice: Choice) -> str:
    """Which model is chosen without `--champion`, on which other than the champion the judgement does not bear."""
    return f"The validation days choose {comparison.model(choice.name).title}: {_why_chosen(comparison, choice)}."


def _why(comparison: Comparison, choice: Choice) -> str:
    return f"{_why_chosen(comparison, choice)}. {_judged(comparison)}".rstrip()


def _why_chosen(comparison: Comparison, choice: Choice) -> str:
    """Why the validation days choose it."""
    passed = [model for model in comparison.models if model.blessed]
    own = comparison.model(choice.name)
    if len(passed) == 1:
        alone = "it passed its gates"
        return alone if len(comparison.models) == 1 else f"of {len(comparison.models)} models only {alone}"
    if choice.name == choice.best:
        return f"it validates best{_validation([own, *_others(passed, own)[:1]])}"
    best = comparison.model(choice.best)
    share = percent(own.training_seconds / best.training_seconds, 0)
    return (
        f"{best.title} validates best, but not with every seed{_validation([best, own])}, and this one takes {share} "
        "of its training time"
    )


def _others(passed: Sequence[Compared], own: Compared) -> list[Compared]:
    """Best validation average AUC first."""
    others = [model for model in passed if model.name != own.name]
    return sorted(others, key=lambda model: -(_validated(model) or 0.0))


def _validation(models: Sequence[Compared]) -> str:
    """ " (average AUC of the validation days 0.7164, MLP 0.7114)"; the first is named by what stands before."""
    values = [_validated(model) for model in models]
    if not models or any(value is None for value in values):
        return " (log loss of the validation days, where no domain has rows enough for an AUC)"
    rest = "".join(
        f", {model.title} {figure(value)}" for model, value in zip(models[1:], values[1:], strict=True)
    )
    return f" (average AUC of the validation days {figure(values[0])}{rest})"


def _validated(model: Compared) -> float | None:
    """The mean over its seeds that passed."""
    values = [run.validation_average_auc for run in model.trained if run.blessed]
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None


def _judged(comparison: Comparison) -> str:
    """What the evaluation days say of the champion beside the others, and what that is worth; empty without others."""
    versus = comparison.versus_champion
    if not versus:
        return ""
    named = comparison.champion or comparison.choice()
    assert named is not None
    shipped = comparison.model(named.name)
    stands = {
        verdict: [comparison.model(name) for name, found in versus.items() if found.verdict == verdict]
        for verdict in _STANDS
    }
    parts: list[str] = []
    for verdict, words in _STANDS.items():
        if stands[verdict]:
            subject = "it" if parts else shipped.title
            parts.append(f"{words.format(subject)} {listing([model.title for model in stands[verdict]])}")
    text = f"By the evaluation days {'; '.join(parts)}{_how_sure(versus, stands)}."
    if stands["behind"]:
        return (
            f"{text} The two stretches of days disagree: `dfei backtest`, over more of them, tells which holds "
            f"({_CHAMPION} {stands['behind'][0].name} ships the other)."
        )
    if not stands["ahead"] and not stands["unknown"]:
        text += " Nothing is to be gained by another model that these rows can show."
    elif not stands["ahead"]:
        first = comparison.models[0]
        found = versus.get(first.name)
        if found is not None and found.verdict == "unknown" and found.difference < 0:
            text += (
                f" {first.title} came out first there, by {signed(-found.difference)} (95 % {signed(-found.high)} to "
                f"{signed(-found.low)})."
            )
        text += " That another model is better is not shown: more --seeds, or more days, would tell."
    return text + _for_less(shipped, stands)


def _how_sure(versus: Mapping[str, Versus], stands: Mapping[str, Sequence[Compared]]) -> str:
    if not stands["ahead"] and not stands["behind"]:
        return ""
    return f", {ONE_TRAINING}" if any(found.seeds == 1 for found in versus.values()) else ", beyond chance"


def _for_less(own: Compared, stands: Mapping[str, Sequence[Compared]]) -> str:
    """Which models that are not known to be worse cost less, and are to be had by `--champion`."""
    costs = {
        "trains in less than half of the time": [
            model
            for model in (*stands["tie"], *stands["unknown"])
            if model.blessed and costs_less(model.training_seconds, own.training_seconds)
        ],
        "answers in less time": [
            model for model in stands["tie"] if model.blessed and _answers_faster(model, own)
        ],
    }
    return "".join(
        f" {listing([model.title for model in models])} {words if len(models) == 1 else _plural(words)} "
        f"({_CHAMPION} {models[0].name})."
        for words, models in costs.items()
        if models
    )


def _plural(words: str) -> str:
    """
    >>> _plural("answers in less time")
    'answer in less time'
    """
    verb, rest = words.split(" ", 1)
    return f"{verb.removesuffix('s')} {rest}"


def _answers_faster(model: Compared, than: Compared) -> bool:
    own, other = model.latency.get("1"), than.latency.get("1")
    # Times of a busy machine differ by less on their own.
    return own is not None and other is not None and own.median_ms < 0.8 * other.median_ms


def command(compared: str) -> str:
    """The command that pushes what a comparison advises: all of it comes from the cache, and its result stays.

    Args:
      compared: the comparison's own command.

    >>> command("dfei compare --dataset a.yaml --root out --models=mlp,dfei --seeds 2 --no-push")
    'dfei compare --dataset a.yaml --root out --models=mlp,dfei --seeds 2 --push'
    """
    kept: list[str] = []
    words = iter(shlex.split(compared))
    for word in words:
        if word == _CHAMPION:
            next(words, None)
        elif word not in _FLAGS and not word.startswith(f"{_CHAMPION}="):
            kept.append(word)
    return shlex.join([*kept, "--push"])
