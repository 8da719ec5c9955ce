"""What to do with a comparison: which model to ship and how, or that nothing is to be gained."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from components.comparison.lead import ONE_TRAINING
from pipeline.compare.result import Compared, Comparison
from pipeline.report.numbers import figure, listing, percent, signed

_CHAMPION = "--champion"
# What trains in less than so much of another's time is cheaper beyond the noise of a machine.
_CHEAPER = 0.5
_FLAGS = ("--push", "--no-push", "--quiet", "-q", "--json")


def advice(comparison: Comparison) -> str:
    """The last line: what to ship, why and the command for it, or that nothing is to be gained by another model.

    Empty where something was pushed, or where no gate judged.
    """
    if not comparison.gated:
        return ""
    if comparison.champion is not None and comparison.champion.pushed_to:
        return ""
    passed = [model for model in comparison.models if _passed(model)]
    if not passed:
        return "Nothing to ship: no model passed its gates with every seed."
    reference = comparison.model(comparison.reference)
    better = [model for model in passed if model.versus is not None and model.versus.verdict == "behind"]
    if better:
        best = better[0]
        found = best.versus
        assert found is not None
        return _ship(
            comparison,
            best,
            f"{signed(-found.difference)} over {reference.title} in average AUC (95 % of resampled users "
            f"{signed(-found.high)} to {signed(-found.low)}){_how_sure(best, '')}",
        )
    if not _passed(reference):
        best = passed[0]
        return _ship(
            comparison,
            best,
            f"{reference.title} did not pass its gates; of those that did it has the highest average AUC "
            f"({figure(best.average_auc.mean)})",
        )
    first = [model for model in _cheaper_unknown(passed, reference) if _came_out_first(model, reference)]
    if first:
        return _ship(comparison, first[0], _why_the_cheaper(first[0], reference))
    return _ship(comparison, reference, _why_the_reference(comparison, passed))


def _why_the_cheaper(model: Compared, reference: Compared) -> str:
    """Nothing is known of a difference, so the costlier model has nothing to show for what it costs."""
    share = percent(model.training_seconds / reference.training_seconds, 0)
    return (
        f"it came out first, at {figure(model.average_auc.mean)} where {reference.title} has "
        f"{figure(reference.average_auc.mean)}, with no larger log loss ({figure(model.log_loss.mean)} and "
        f"{figure(reference.log_loss.mean)}), for {share} of the training time. Which of the two is better is not "
        "known: more --seeds, or more days, would tell"
    )


def _why_the_reference(comparison: Comparison, passed: Sequence[Compared]) -> str:
    """Nothing is beyond chance better; what is level with it may be cheaper."""
    tested = [model for model in comparison.models if model.versus is not None]
    if not tested:
        return "it passed its gates; nothing was compared with it"
    if all(model.versus is not None and model.versus.verdict == "ahead" for model in tested):
        return f"ahead of all others{_how_sure(tested[0], ' beyond chance')}"
    reference = comparison.model(comparison.reference)
    words = "nothing is to be gained by another model that these rows can show"
    level = [model for model in passed if model.versus is not None and model.versus.verdict == "tie"]
    cheaper = [model for model in level if _answers_faster(model, reference)]
    if cheaper:
        words += f"; {listing([model.title for model in cheaper])} would do as well and answer in less time"
    quicker = _cheaper_unknown(passed, reference)
    if quicker:
        words += (
            f"; how {listing([model.title for model in quicker])} stands to it is not known, for less than half of the "
            "training time: more --seeds, or more days, would tell"
        )
    return words


def _how_sure(model: Compared, sure: str) -> str:
    """`sure`, or that each was trained once."""
    once = model.versus is not None and model.versus.seeds == 1
    return f", {ONE_TRAINING}" if once else sure


def _ship(comparison: Comparison, model: Compared, why: str) -> str:
    return f"Ship {model.title}: {why}.\n  {command(comparison.command, model.name)}"


def _passed(model: Compared) -> bool:
    return model.blessed == len(model.trained) > 0


def _cheaper_unknown(passed: Sequence[Compared], reference: Compared) -> list[Compared]:
    """Those that train in less than half of the time, of which nothing is known beside the reference."""
    return [
        model
        for model in passed
        if model.versus is not None
        and model.versus.verdict == "unknown"
        and model.training_seconds < _CHEAPER * reference.training_seconds
    ]


def _came_out_first(model: Compared, than: Compared) -> bool:
    own, other = model.average_auc.mean, than.average_auc.mean
    loss, loss_of_other = model.log_loss.mean, than.log_loss.mean
    if own is None or other is None or loss is None or loss_of_other is None:
        return False
    return own > other and loss <= loss_of_other


def _answers_faster(model: Compared, than: Compared) -> bool:
    own, other = model.latency.get("1"), than.latency.get("1")
    # Times of a busy machine differ by less on their own.
    return own is not None and other is not None and own.median_ms < 0.8 * other.median_ms


def command(compared: str, name: str) -> str:
    """The command that pushes a model of a comparison: all of it comes from the cache, and its result stays.

    Args:
      compared: the comparison's own command.
      name: of the model.

    >>> command("dfei compare --dataset a.yaml --root out --models=mlp,dfei --seeds 2 --no-push", "mlp")
    'dfei compare --dataset a.yaml --root out --models=mlp,dfei --seeds 2 --push --champion mlp'
    """
    kept: list[str] = []
    words = iter(shlex.split(compared))
    for word in words:
        if word == _CHAMPION:
            next(words, None)
        elif word not in _FLAGS and not word.startswith(f"{_CHAMPION}="):
            kept.append(word)
    return shlex.join([*kept, "--push", _CHAMPION, name])
