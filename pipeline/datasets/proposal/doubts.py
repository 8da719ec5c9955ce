"""What the user should look at in a draft."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from components.dataset.names import is_date
from components.dataset.written import NUMBER
from pipeline.datasets.proposal.figures import mean
from pipeline.datasets.proposal.roles import binary
from pipeline.datasets.proposal.several import lists_of_ids
from pipeline.datasets.proposal.timestamps import constant_within
from pipeline.datasets.proposal.words import AFTER, EVENTS, IDENTIFIERS, NUMBERS, has, is_before

if TYPE_CHECKING:
    from pipeline.datasets.proposal.draft import Draft

_SHOWN_NAMES = 6
_WORDS = 50
_NEARLY_ALL = 0.9
# Beside the label: then it is a log of reactions.
_REACTIONS = 2
# Not digits alone, which are codes where they stay texts.
_LIKE_NUMBERS = (
    r"^\W{0,2}\d+(?:(?:[.,/]\d+|(?::\d{2}){1,2}|(?:[.,'\u2019_\s]\d{2,3})+(?:[.,]\d+)?)\s?[A-Za-z%]{0,3}"
    r"|\s?[A-Za-z%]{1,3})$|^[<>~]=?\s?\d+(?:[.,]\d+)?$"
)
_DIGITS = r"^\s*\d+\s*$"
_TIME_OF_DAY = r"^\s*\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?\s*(?:[AaPp]\.?[Mm]\.?)?\s*$"


def doubts(result: Draft) -> Iterator[str]:
    """One sentence for each guess that the user may know better, with what to do."""
    for guess in result.guesses.values():
        if guess.certainty == "weak" and guess.column:
            others = [name for name, _ in guess.candidates if name != guess.column][:3]
            instead = f", perhaps {', '.join(others)}" if others else ""
            yield f"{guess.role}: {guess.column} is not certain ({guess.why}); --{guess.role} names another{instead}"
    rule = result.label.positive
    if rule is not None and rule.at_least is not None and has(result.label.column, EVENTS):
        yield (
            f"label: of {result.label.column} {rule.at_least:g} and more count as 1; --positive ={rule.at_least:g} has "
            "it count alone"
        )
    for leak in result.leaks:
        kept = leak.column in (result.role("user"), result.role("item"), result.role("domain"), result.author)
        fate = (
            "it has a role and stays"
            if kept
            else f"it is set aside under post_exposure; --keep {leak.column} makes a feature of it, an entry under "
            "behaviours makes features of its averages over the past"
        )
        yield f"{leak.column}: {leak.why}; {fate}"
    for lookup in result.sources.lookups:
        if lookup.matched < 0.99:
            yield (
                f"{lookup.table.name}: {1 - lookup.matched:.1%} of the impressions have no row there; "
                "their columns are missing values"
            )
    for why, names in _judged(result).items():
        example = f"--keep {names[0]}"
        shown = ", ".join(names[:_SHOWN_NAMES]) + (" ..." if len(names) > _SHOWN_NAMES else "")
        yield f"{shown}: left out: {why}; {example} makes a feature of it"
    for choice in result.of("feature"):
        if is_date(choice.settings.get("written", "")):
            yield (f"{choice.column}: {choice.why}; if that is wrong, change `written` in the declaration")
        if result.columns[choice.column].in_log and is_before(choice.column) and has(choice.column, AFTER):
            yield (
                f"{choice.column}: a feature, as its name looks back; if it is only known after the exposure, move it "
                "to post_exposure"
            )
        place = choice.place_of
        if place is not None and place.certain:
            yield (
                f"{choice.column}: a place among what is shown ({place.why}) is not known when items are ranked: it "
                f"is learned from, fixed at {place.served}, which is clicked about as often as all places together, in "
                "evaluation and serving, and no part of requests; take at_serving away where callers know it"
            )
        elif place is not None:
            yield (
                f"{choice.column}: {place.why}: if it is where the item was shown, requests cannot know it, and it "
                f"needs at_serving: {place.served} (docs/serving.md)"
            )
    yield from _lists(result)
    for column in result.columns.values():
        if column.values.kind == "unusable":
            yield f"{column.name}: set aside: {column.values.why}"
        if column.values.written != "plain":
            yield f"{column.name}: {column.values.why}; if that is wrong, change `written` in the declaration"
    yield from _flags(result)
    yield from _unread_writings(result)
    if result.role("user") is None:
        yield "no user: no GAUC, no averages by user; name one with --user"
    if result.role("item") is None:
        yield "no item: no averages by item; name one with --item"


def _flags(result: Draft) -> Iterator[str]:
    """Columns of 0 and 1 that may be reactions as those beside them are, and are not named like one."""
    columns = result.columns
    reactions = [choice for choice in result.of("behaviour") if binary(columns[choice.column])]
    if len(reactions) < _REACTIONS:
        return
    names = [
        choice.column
        for choice in result.of("feature")
        if columns[choice.column].in_log
        and binary(columns[choice.column])
        and not is_before(choice.column)
        and constant_within(columns[choice.column], columns.values()) is None
    ]
    if names:
        shown = ", ".join(names[:_SHOWN_NAMES]) + (" ..." if len(names) > _SHOWN_NAMES else "")
        yield (
            f"{shown}: 0 and 1, as the reactions beside them: features; what is only known after the exposure belongs "
            "under post_exposure"
        )


def _lists(result: Draft) -> Iterator[str]:
    """Lists that are named like what was done, and do not say when; those left out, where the label is doubtful."""
    if result.guesses["label"].certainty == "weak":
        left_out = [result.columns[choice.column] for choice in result.of("none")]
        yield from (said.strip() for said in lists_of_ids(left_out))
    names = [
        choice.column
        for choice in result.of("feature")
        if result.columns[choice.column].values.kind == "list"
        and result.columns[choice.column].in_log
        and has(choice.column, AFTER)
        and not is_before(choice.column)
    ]
    if names:
        shown = ", ".join(names[:_SHOWN_NAMES]) + (" ..." if len(names) > _SHOWN_NAMES else "")
        yield (
            f"{shown}: lists, named like what was done: features, as what was done before is; what was done with the "
            "item that is shown belongs under post_exposure"
        )


def _unread_writings(result: Draft) -> Iterator[str]:
    """Texts that are numbers in a writing that is not read, and a time of day beside a date."""
    for choice in (*result.of("feature"), *result.of("none")):
        column = result.columns[choice.column]
        if column.values.kind != "string" or column.distinct <= _WORDS or has(column.name, IDENTIFIERS):
            continue
        texts = column.values.column.drop_nulls()
        dressed = texts.str.contains(_LIKE_NUMBERS) | (
            texts.str.contains(NUMBER) & ~texts.str.contains(_DIGITS)
        )
        share = mean(dressed)
        if 0 < share < _NEARLY_ALL and has(column.name, NUMBERS):
            share = mean(dressed | texts.str.contains(_DIGITS))
        if share >= _NEARLY_ALL:
            shown = " or ".join(repr(text) for text in texts.unique(maintain_order=True).head(2))
            yield (
                f"{column.name}: each text, as {shown}, is a word of its own; if these are numbers, write them plainly"
            )
    clock = result.columns.get(result.guesses["timestamp"].column or "")
    if clock is None or "whole days only" not in result.guesses["timestamp"].why:
        return
    for column in result.columns.values():
        if column.in_log and column.values.kind == "string" and column.name != clock.name:
            texts = column.values.column.drop_nulls()
            if not texts.is_empty() and mean(texts.str.contains(_TIME_OF_DAY)) >= _NEARLY_ALL:
                yield (
                    f"timestamp {clock.name}: whole days only; {column.name} holds times of day: write both into one "
                    "column, as 2026-03-14 09:30:00, for the order within a day"
                )


def _judged(result: Draft) -> dict[str, list[str]]:
    """What was set aside by judgement: reason -> columns."""
    found: dict[str, list[str]] = {}
    for choice in result.choices:
        if choice.judged:
            found.setdefault(choice.why, []).append(choice.column)
    return found
