"""From guesses to decisions: which column is the timestamp and which the label, and what they have to hold."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from components.dataset.label import is_positive
from components.dataset.sections import Positive
from components.dataset.times import RANDOM_PARTS
from components.errors import InputError
from pipeline.datasets.proposal import roles, timestamps
from pipeline.datasets.proposal.decider import WITHOUT, Decider
from pipeline.datasets.proposal.figures import mean
from pipeline.datasets.proposal.guess import Guess
from pipeline.datasets.proposal.roles import Column, LabelCandidate
from pipeline.datasets.proposal.timestamps import ClockCandidate
from pipeline.datasets.proposal.words import AFTER, has

_WHOLE = 0.9995
_NEARLY_ALL = 0.99
_LOOKED_AT = 1_000


def decide_timestamp(columns: dict[str, Column], decide: Decider) -> tuple[Guess, ClockCandidate]:
    """The column of the timestamp, and what its values say.

    Raises:
      InputError: the column, given or asked for, holds no times, or is one of a lookup table; no column is likely.
    """
    every = list(columns.values())
    named = decide.given("timestamp")
    if named is not None:
        column = columns[named]
        if not column.in_log:
            raise InputError(
                f"--timestamp {named}: is a column of a lookup table, and must be one of the impressions: write it "
                "into their files"
            )
        found = timestamps.clock_candidate(column, every)
        if found is None:
            raise InputError(
                f"--timestamp {named}: expected seconds, milliseconds, microseconds or nanoseconds since 1970, or "
                f"dates, in nearly every row of the impressions; found {timestamps.found_instead(column.values)}"
            )
        return Guess("timestamp", named, "given", f"given; {found.why}"), found
    candidates = timestamps.clock_candidates(every)
    likely = [candidate for candidate in candidates if candidate.score >= 0]
    shown = tuple(
        (candidate.column, "; ".join([candidate.why, *candidate.doubts]))
        for candidate in likely or candidates
    )
    if not candidates and (instead := timestamps.found_elsewhere(every)) is not None:
        raise InputError(f"the timestamp cannot be guessed: {instead}{WITHOUT['timestamp']}")
    if not likely:
        guess = decide(Guess("timestamp", None, "none", candidates=shown), required=True)
    else:
        best = likely[0]
        clear = len(likely) == 1 or likely[1].score < best.score
        certainty: Any = "sure" if best.score >= 1 and clear and not best.doubts else "weak"
        guess = decide(Guess("timestamp", best.column, certainty, best.why, shown), required=True)
    chosen = next((candidate for candidate in candidates if candidate.column == guess.column), None)
    if chosen is None:
        raise InputError(
            f"{guess.column} cannot be the timestamp: it holds no times; name another with --timestamp"
        )
    return guess, chosen


def no_timestamp(
    user: str | None, item: str | None, columns: Iterable[Column]
) -> tuple[Guess, ClockCandidate]:
    """A column in the place of a timestamp: a log without any time is split at random by user.

    Args:
      user, item: their columns; without a user the item's rows stay together.
      columns: without both, the rows of one value stay together of the column that has most.
    Raises:
      InputError: there is no column to go by.
    """
    # A row without a value would fall into no part.
    others = [
        c for c in columns if c.in_log and c.values.kind in ("int", "string") and c.values.present >= _WHOLE
    ]
    whole = {column.name for column in others}
    most = max(others, key=lambda column: column.distinct, default=None)
    most_name = most.name if most is not None and most.distinct >= RANDOM_PARTS else None
    by = next((name for name in (user, item) if name in whole), most_name)
    if by is None:
        raise InputError(
            "--no-time splits the log at random by user: name the user's column with --user; it needs a value in every "
            f"row. Without users write a column that numbers the rows ({RANDOM_PARTS} values at least)"
        )
    instead = "" if by == user else "; --user names one by which to split instead"
    doubt = (
        f"there is none: the split is at random by {by}, not forward in time, and cannot tell how the model does "
        f"tomorrow{instead}"
    )
    why = f"none; the rows of each {by} fall at random into one of ten parts, which stand for days"
    return Guess("timestamp", by, "given", why), ClockCandidate(by, "random", 0.0, why, (doubt,))


def decide_label(
    columns: dict[str, Column], decide: Decider, positive: str | None, taken: set[str]
) -> tuple[Guess, LabelCandidate]:
    """The column of the label, and which of its values count as 1.

    Args:
      columns: every column of the joined sample, by name.
      decide: see `Decider`.
      positive: which value counts as 1, as the user gave it.
      taken: columns that have another role.
    Raises:
      InputError: a lookup table's column; values that do not tell which count as 1; one class only.
    """
    candidates = roles.label_candidates([c for c in columns.values() if c.name not in taken])
    best = _guess_label(candidates, columns)
    if best.certainty != "sure" and decide.given("label") is None:
        _require_rows_of_their_own(columns)
    guess = decide(best, required=True)
    name = guess.column or ""
    column = columns[name]
    if not column.in_log:
        raise InputError(f"the label {name} is a column of a lookup table: it must be in the impressions")
    found = next((c for c in candidates if c.column == name), None) or roles.label_candidate(
        column, must=True
    )
    if positive is None and found is None:
        positive = decide.which_value(column)
    rule = _rule(column, positive) if positive is not None else None
    if rule is not None:
        _require_both_classes(column, str(positive), rule)
        counts = f"{positive} counts as 1" if rule.at_least is None else f"{positive} and more count as 1"
        found = LabelCandidate(name, 0.0, f"given; {counts.removeprefix('=')}", rule)
    if found is None:
        shown = ", ".join(map(str, column.values.column.drop_nulls().unique().sort().head(6).to_list()))
        raise InputError(
            f"the label {name} has {column.distinct} values ({shown} ...), and nothing tells which count as 1: give "
            "--positive VALUE (the lowest number that does, or texts separated by commas), or another --label"
        )
    return Guess("label", name, guess.certainty, found.why, guess.candidates), found


def _guess_label(candidates: Sequence[LabelCandidate], columns: Mapping[str, Column]) -> Guess:
    """The likeliest label; what is only like one by its values, or named like a rating, and the same for all rows of a
    user or an item, is none.
    """
    likely, facts = [], []
    for candidate in candidates:
        looked_at = candidate.score in (roles.UNNAMED, roles.FOLLOWED, roles.RATED)
        whose = timestamps.constant_within(columns[candidate.column], columns.values()) if looked_at else None
        if whose is None:
            likely.append(candidate)
        else:
            facts.append((candidate.column, f"{candidate.why}; it is the same in all rows of one {whose}"))
    if not likely:
        return Guess("label", None, "none", candidates=tuple(facts))
    guess = roles.guess_label(likely)
    if guess.certainty != "weak":
        return guess
    found = {candidate.column for candidate in candidates}
    told = roles.named_like_labels(column for column in columns.values() if column.name not in found)
    return dataclasses.replace(guess, candidates=(*guess.candidates, *told))


def _require_rows_of_their_own(columns: Mapping[str, Column]) -> None:
    """Refuses a log whose rows are pages: a list of what was shown, and one of what of it was clicked."""
    lists = [c for c in columns.values() if c.in_log and isinstance(c.values.column.dtype, pl.List)]
    for some in lists:
        if not has(some.name, AFTER):
            continue
        for shown in lists:
            if shown.name == some.name or shown.values.column.dtype != some.values.column.dtype:
                continue
            pair = pl.DataFrame({"some": some.values.column, "shown": shown.values.column}).drop_nulls()
            pair = pair.head(_LOOKED_AT).filter(pl.col("some").list.len() > 0)
            within = pair.select(pl.col("some").list.set_difference("shown").list.len() == 0).to_series()
            fewer = pair.select(pl.col("some").list.len() < pl.col("shown").list.len()).to_series()
            if len(pair) and mean(within) >= _NEARLY_ALL and mean(fewer) > 0.5:
                raise InputError(
                    f"{some.name} holds which of {shown.name} were clicked: write a row for each of {shown.name}, with "
                    f"a column of 0 and 1, and without {some.name}"
                )


def require_two(domain: Column) -> None:
    """Refuses a domain of fewer than two values.

    Raises:
      InputError: naming the column and what it holds.
    """
    if domain.distinct < 2:
        only = ", ".join(map(str, domain.values.column.drop_nulls().head(1).to_list())) or "nothing"
        raise InputError(
            f"--domain {domain.name}: holds {only} and no other value, and a data set needs two domains or more: name "
            "a column that tells scenarios apart, such as a tab, a page or a country"
        )


def _require_both_classes(column: Column, positive: str, rule: Positive) -> None:
    given = column.values.column.drop_nulls()
    ones = is_positive(given, rule).sum()
    if 0 < ones < len(given):
        return
    shown = ", ".join(map(str, given.unique().sort().head(6).to_list()))
    raise InputError(
        f"--positive {positive}: {'none' if ones == 0 else 'every one'} of {column.name}'s values ({shown}"
        f"{' ...' if column.distinct > 6 else ''}) counts as 1, and a model needs both classes: give another value"
    )


def _rule(column: Column, positive: str) -> Positive:
    if column.values.kind in ("int", "float"):
        if column.values.kind == "int" and positive.startswith("="):
            return _one_of(column, positive.removeprefix("="), positive)
        try:
            return Positive(at_least=float(positive))
        except ValueError:
            raise InputError(
                f"--positive {positive}: {column.name} holds numbers; give the lowest that counts as 1, or those that "
                "do, as in =4,6"
            ) from None
    return _one_of(column, positive, positive)


def _one_of(column: Column, texts: str, positive: str) -> Positive:
    wanted = [text.strip() for text in texts.split(",")]
    known = set(column.values.column.drop_nulls().cast(pl.String).unique().to_list())
    absent = [text for text in wanted if text not in known]
    if absent:
        raise InputError(
            f"--positive {positive}: {column.name} has no value {' or '.join(absent)}; "
            f"it has {', '.join(sorted(known)[:12])}"
        )
    return Positive(one_of=wanted)
