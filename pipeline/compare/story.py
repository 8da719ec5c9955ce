"""A comparison told in sentences: who is first, whom the reference beats beyond chance, what it is worth."""

from __future__ import annotations

from collections.abc import Sequence

from components.comparison.lead import NARROW, ONE_TRAINING
from models.metrics import needed
from pipeline.compare.result import Comparison, Versus
from pipeline.compare.variants import LIGHTGBM
from pipeline.report.numbers import count, figure, listing, plural, signed

# More domains than this are counted, not named.
_NAMED = 6


def outcome(comparison: Comparison) -> list[str]:
    """Who is first, and how the reference stands to the others."""
    first, reference = comparison.models[0], comparison.model(comparison.reference)
    if first.average_auc.mean is None:
        return [f"No average AUC is defined: no domain has {needed(comparison.min_rows)} in the evaluation."]
    sentences = [f"{first.title} has the highest average AUC: {figure(first.average_auc.mean)}."]
    if first.name != reference.name:
        sentences[0] += (
            f" {reference.title} is number {reference.rank}, at {figure(reference.average_auc.mean)}."
        )
    told = verdicts(
        reference.title,
        [(model.title, model.versus) for model in comparison.models],
        comparison.bootstrap_samples,
    )
    sentences += [told] if told else []
    without = _without_a_model(comparison)
    sentences += [without] if without else []
    behind = behind_the_trees(comparison)
    sentences += [behind] if behind else []
    where = _within_domains(comparison)
    sentences += [where] if where else []
    best = comparison.best_possible_average_auc
    if best is not None and first.below_best is not None:
        sentences.append(
            f"The true click probabilities of this simulated feed reach {figure(best)}: {first.title} is "
            f"{figure(first.below_best)} below."
        )
    return sentences


def _without_a_model(comparison: Comparison) -> str:
    """How the reference stands to the past click rate; empty where that is not known."""
    past = comparison.past_click_rate
    if past is None or past.versus is None:
        return ""
    reference, found = comparison.model(comparison.reference).title, past.versus
    stands = {
        "ahead": f"{reference} is ahead of it",
        "behind": f"{reference} is behind it",
        "tie": f"{reference} is level with it",
        "unknown": f"it is not known how {reference} stands to it",
    }[found.verdict]
    return (
        f"Without a model, by {past.description}: average AUC {figure(past.average_auc)}; {stands}, by "
        f"{signed(found.difference)} (95 % {signed(found.low)} to {signed(found.high)})."
    )


def champion_words(comparison: Comparison) -> str:
    """Which training is the champion, and how good that one is, beside the mean over its seeds; empty without one."""
    champion = comparison.champion
    if champion is None:
        return ""
    model = comparison.model(champion.name)
    own = f"average AUC {figure(champion.average_auc)} of its own"
    seeds = plural(len(model.trained), "seed")
    mean = f", {figure(model.average_auc.mean)} on average over {seeds}" if len(model.trained) > 1 else ""
    choice = comparison.choice()
    named = choice is not None and choice.name != champion.name
    who = "named by --champion; of the validation days" if named else "chosen by that of the validation days,"
    chosen = f"; {who} {figure(champion.validation_average_auc)}"
    pushed = f"; pushed to {champion.pushed_to}" if champion.pushed_to else ""
    return f"champion: {model.title}, seed {champion.seed}: {own}{mean}{chosen}{pushed}"


def behind_the_trees(comparison: Comparison) -> str:
    """Why trees are beyond chance ahead of the reference, and what to do; empty where they are not."""
    trees = next((model.versus for model in comparison.models if model.name == LIGHTGBM), None)
    if trees is None or trees.verdict != "behind":
        return ""
    reference = comparison.model(comparison.reference).title
    search = (
        f"a wider search of its settings than the {plural(comparison.trials, 'set')} tried (--trials)"
        if comparison.trials
        else "--trials 4, which searches its learning rate and its sizes"
    )
    return (
        f"The trees learned from the same inputs: what {reference} falls short by is its training, not the data. Try "
        f"{search}, smaller batches (training.batch_size) or more epochs (training.epochs)."
    )


def _within_domains(comparison: Comparison) -> str:
    """`within_domains` against the first model, or the second where the reference is first."""
    rival = next((model for model in comparison.models if model.versus is not None), None)
    if rival is None or rival.versus is None:
        return ""
    reference = comparison.model(comparison.reference).title
    return within_domains(reference, rival.title, rival.versus, comparison.domain)


def within_domains(reference: str, rival: str, versus: Versus, domain: str, which: str = "that count") -> str:
    """In which domains the reference is ahead of a model, and behind it; empty without a test.

    Args:
      reference: its title.
      rival: the other's.
      versus: the first against the other.
      domain: the name of the domain's column.
      which: of its values are tested.
    """
    if not versus.domains:
        return ""
    once = versus.seeds == 1
    beyond = "" if once else " beyond chance"
    parts: list[str] = []
    for verdict in ("ahead", "behind"):
        names = [name for name, lead in versus.domains.items() if lead.verdict == verdict]
        if names:
            chance = "" if parts else beyond
            few = len(names) <= _NAMED
            where = f"{domain or 'domain'} {listing(names)}" if few else f"{count(len(names))} of them"
            parts.append(f"{verdict}{chance} in {where}")
    told = " and ".join(parts) or f"neither ahead nor behind{beyond} in any"
    told += f", {ONE_TRAINING}" if once else ""
    values = f"{plural(len(versus.domains), 'value')} of {domain or 'domain'} {which}"
    if len(versus.domains) == 1:
        values = values.replace("that count", "that counts")
    return f"Within the {values}, {reference} against {rival} is {told}."


def verdicts(reference: str, others: Sequence[tuple[str, Versus | None]], samples: int) -> str:
    """Whom the reference is ahead of beyond chance, and whom not; empty without a test.

    Args:
      reference: its title.
      others: titles, and the reference against each; those without a test are left out.
      samples: resampled sets of users.
    """
    tested = [found for _, found in others if found is not None]
    once = any(found.seeds == 1 for found in tested)
    beyond = "" if once else " beyond chance"
    words = {
        "ahead": f"By the users, {reference} is ahead{beyond} of",
        "tie": f"it is level, within {NARROW:g}, with",
        "behind": f"it is{beyond} behind",
        "wide": "these rows are too few to tell how it stands to",
        "seeds": "the seeds do not agree how it stands to",
        "unclear": "how it stands to the others is not known, for the average rests on domains that tell little "
        "(weighted by how exactly each is known, the difference is another): to",
    }
    parts = []
    for kind, phrase in words.items():
        titles = [title for title, found in others if found is not None and _kind(found) == kind]
        parts += [f"{phrase} {listing(titles)}"] if titles else []
    if not parts:
        return ""
    text = "; ".join(parts)
    if text.startswith("it "):
        text = text.replace("it ", f"By the users, {reference} ", 1)
    elif not text.startswith("By the users"):
        text = (text[:1].upper() + text[1:]).replace(" it ", f" {reference} ", 1)
    one = f", {ONE_TRAINING}: --seeds 3 tells more" if once else ""
    return f"{text} (95 % of {samples} resampled sets of users{one})."


def untuned() -> str:
    """What all models of a comparison without a search had in common, and what to do about it."""
    return (
        "All were trained with the declared settings, one learning rate for all: --trials 4 searches each model's own, "
        "which may change the order."
    )


def _kind(found: Versus) -> str:
    """The verdict, and where it is not known, why."""
    if found.verdict != "unknown":
        return found.verdict
    if not found.beyond_chance:
        return "wide"
    return "unclear" if found.seeds_agree else "seeds"


def equal_terms(comparison: Comparison) -> str:
    """What all models had in common."""
    tuned = (
        f"For each, {plural(comparison.trials, 'set')} of settings, the declared one among them, were tried on the "
        "validation days; the best was trained with every seed where it gains more over the declared one than the "
        "gain's standard error over the users, else the declared one."
        if comparison.trials
        else untuned()
    )
    rows = comparison.rows
    return (
        f"{plural(len(comparison.models), 'model')} learned from the same {count(rows['train'] + rows['validation'])} "
        f"impressions of {comparison.dataset}, transformed alike, with "
        f"{plural(len(comparison.seeds), 'seed')} each; the last {count(rows['validation'])} of them decided when to "
        f"stop. {tuned} {count(rows['eval'])} later impressions of {count(comparison.users)} users judge them."
    )
