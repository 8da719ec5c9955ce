"""Who is who: label, domain, user, item and author, from names, values and how columns go together."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from components.dataset.sections import Positive
from pipeline.datasets.proposal.figures import highest, lowest, mean
from pipeline.datasets.proposal.guess import Certainty, Guess
from pipeline.datasets.proposal.kinds import Values
from pipeline.datasets.proposal.words import (
    AFTER,
    ANSWERS,
    AUTHORS,
    CATEGORIES,
    DOMAINS,
    EVENTS,
    EXACT_TIMES,
    IDENTIFIERS,
    ITEMS,
    LABELS,
    NEGATIONS,
    NUMBERS,
    PARTS_OF_TIME,
    POSITIVE_EVENTS,
    RATINGS,
    REQUESTS,
    USERS,
    WEAK_DOMAINS,
    WEAK_USERS,
    has,
    is_counted,
    is_place,
    of_its_own,
    rank,
    words,
)

MOST_DOMAINS = 2_000
UNNAMED = 0.5
"""What a label candidate scores by its values alone."""
FOLLOWED = 0.75
"""What it scores where another column is filled only in the rows that it marks."""
_FEWEST_FILLED = 20
RATED = 6.0
"""What ratings score."""
_MOST_RATINGS, _MANY_RATINGS = 21, 5
# Behind what was done: `click_flag`; any other word says of what, as in `click_on_author`.
_PLAIN = frozenset(("is", "has", "flag", "bool", "indicator", "binary", "value", "val", "id")).union(*LABELS)
_LETTER = re.compile(r"^\s*[A-Za-z]\s*$")
_MOST_EVENTS, _MOST_CODES = 30, 12
_WHAT_WAS_DONE = EVENTS - {"type"}
WORDS_OF_EVENTS = EVENTS | {"user", "id", "code", "name"}
_SHOWN = 6
_ENTITIES = 50
# What a column scores as the user by its values alone: enough to be asked for where nothing else is.
_BY_VALUES = 1.5
# What a key of a table scores as the item, for the table may be the user's: a guess that is doubted, whatever its name.
_KEY = 0.9
_SURE, _DOUBTED = 3.5, 1.4
# What an item loses whose values do not come again: enough to be doubted.
_FLEETING = 3.0
# What the name of a user's or an item's attribute scores: enough to be named where nothing else is.
_ATTRIBUTE = -0.5


@dataclass(frozen=True)
class Column:
    """A column of the joined sample.

    Attributes:
      name: as it is joined.
      values: what it holds.
      distinct: distinct values in the sample.
      in_log: whether the impressions have it; else a lookup.
      is_key: whether a lookup is joined by it.
      stated: the type that its header states; empty where it states none.
      sampled: whether there are more rows than these.
    """

    name: str
    values: Values
    distinct: int
    in_log: bool
    is_key: bool = False
    stated: str = ""
    sampled: bool = False

    @property
    def where(self) -> str:
        """Where its distinct values were counted."""
        return "in the sample" if self.sampled else "in the log"

    @property
    def present(self) -> int:
        """Rows with a value."""
        return len(self.values.column) - self.values.column.null_count()


@dataclass(frozen=True)
class LabelCandidate:
    """A column that may be the label, and which of its values count as 1."""

    column: str
    score: float
    why: str
    positive: Positive | None = None


def binary(column: Column) -> bool:
    """Whether it holds 0 and 1, both."""
    if column.values.kind != "int":
        return False
    return set(column.values.column.unique().drop_nulls().to_list()) == {0, 1}


def label_candidates(columns: Sequence[Column]) -> list[LabelCandidate]:
    """Columns of the impressions that can be a label, the likeliest first.

    Of those whose names say nothing, one is likelier where another column is filled only in the rows that it marks:
    what was seen or paid after a click is known of clicked rows alone.
    """
    in_log = [column for column in columns if column.in_log]
    found = [c for column in in_log if (c := label_candidate(column)) is not None]
    by_name = {column.name: column for column in in_log}
    for at, candidate in enumerate(found):
        if candidate.score == UNNAMED:
            follows = _filled_where(candidate, by_name)
            if follows is not None:
                why = f"{candidate.why}; {follows} is filled in no other rows"
                found[at] = dataclasses.replace(candidate, score=FOLLOWED, why=why)
    return sorted(found, key=lambda candidate: -candidate.score)


def _filled_where(candidate: LabelCandidate, columns: Mapping[str, Column]) -> str | None:
    """A column that is empty in all rows which a label would not count, and filled in some that it would."""
    values = columns[candidate.column].values.column
    one_of = candidate.positive.one_of if candidate.positive is not None else None
    counted = (values.is_in(one_of) if one_of else values == 1).fill_null(False)
    for name, column in columns.items():
        filled = column.values.column.is_not_null()
        if (
            name != candidate.column
            and _FEWEST_FILLED <= filled.sum() < len(filled)
            and not (filled & ~counted).any()
        ):
            return name
    return None


def label_candidate(column: Column, must: bool = False) -> LabelCandidate | None:
    """A column as the label; `None` when it is none. With `must`, what is not named like one is taken too."""
    name, values = column.name, column.values.column
    named = rank(name, LABELS)
    if binary(column):
        share = mean(values)
        score = UNNAMED if named is None else 10.0 - named
        like = "" if named is None else f"; named like a {'label' if named == 0 else 'reaction'}"
        if has(name, NEGATIONS):
            score, like = min(score, 5.4), f"{like}, or to none, by its name"
        elif named and words(name)[-1] not in _PLAIN and not words(name)[-1].isdigit():
            score, like = 5.5 - 0.1 * named, f"{like}, to something else perhaps"
        return LabelCandidate(name, score, f"2 values, 0 and 1, {share:.1%} ones{like}")
    if column.values.kind == "int" and column.distinct == 2 and named is not None:
        low, high = lowest(values), highest(values)
        why = (
            f"2 values, {low:g} and {high:g}, {mean(values == high):.1%} of them {high:g}, which counts as 1"
        )
        return LabelCandidate(
            name, 5.5 - 0.1 * named, f"{why}; --positive names another", Positive(at_least=high)
        )
    rated = has(name, RATINGS) and words(name)[-1] not in ("count", "cnt", "id")
    if column.values.kind in ("int", "float") and 2 <= column.distinct <= _MOST_RATINGS and (rated or must):
        low, high = lowest(values), highest(values)
        bound = next(
            (v for v in sorted(values.unique().drop_nulls().to_list()) if v >= low + 0.75 * (high - low)),
            high,
        )
        share = mean(values >= bound)
        why = f"ratings of {low:g} to {high:g}, {share:.1%} of them {bound:g} or more; those count as 1"
        none = _stands_for_none(values)
        if none is not None:
            why += (
                f"; {none:g} counts as 0, in {mean(values == none):.1%} of the rows: if it stands for no rating, leave "
                "these rows out"
            )
        return LabelCandidate(name, RATED if none is None else 5.8, why, Positive(at_least=float(bound)))
    if column.values.kind == "string" and 2 <= column.distinct <= _MOST_EVENTS:
        texts = values.drop_nulls().unique().to_list()
        plain = frozenset(text.strip().lower() for text in texts)
        # A letter alone answers beside its opposite; elsewhere it is one of some codes.
        letters = any(pair <= plain for pair in ANSWERS)
        ranked = sorted(
            (place, text)
            for text in texts
            if (letters or not _LETTER.match(text))
            and (place := rank(text, POSITIVE_EVENTS)) is not None
            and not has(text, NEGATIONS)
        )
        answers = plain in ANSWERS
        if ranked and (has(name, EVENTS) or named is not None or must or answers):
            best = [text for place, text in ranked if place == ranked[0][0]]
            if len(best) == len(texts):
                return None
            share = mean(values.is_in(best))
            score = 8.0 - named if named is not None else 4.0 if has(name, EVENTS) else UNNAMED
            shown = ", ".join(sorted(texts)[:_SHOWN])
            why = (
                f"{column.distinct} texts ({shown}); {' and '.join(best)} count as 1, {share:.1%} of the rows"
            )
            return LabelCandidate(name, score, why, Positive(one_of=sorted(best)))
    return None


def named_like_labels(columns: Iterable[Column]) -> Iterator[tuple[str, str]]:
    """Columns that are named like a label and hold a few codes, of which the user has to say which count as 1."""
    for column in columns:
        few = column.values.kind in ("int", "string") and 2 <= column.distinct <= _MOST_CODES
        done = has(column.name, _WHAT_WAS_DONE) and WORDS_OF_EVENTS.issuperset(words(column.name))
        named = done or rank(column.name, LABELS[:2]) is not None
        if column.in_log and few and named:
            codes = column.values.column.drop_nulls().unique().sort().cast(pl.String).to_list()
            yield (
                column.name,
                f"{column.distinct} values ({', '.join(codes)}), of which --positive says what counts",
            )


def _stands_for_none(ratings: pl.Series) -> float | None:
    """The lowest rating where it may be none: -1 below 0 or more, or 0 where it is the most frequent of many."""
    counts = dict(ratings.drop_nulls().value_counts().iter_rows())
    low, *above = sorted(counts)
    if low == -1 and above and above[0] >= 0:
        return float(low)
    often = len(above) >= _MANY_RATINGS and all(counts[low] > counts[other] for other in above)
    return 0.0 if low == 0 and often else None


def guess_label(candidates: Sequence[LabelCandidate]) -> Guess:
    """The label, from the candidates."""
    shown = tuple((candidate.column, candidate.why) for candidate in candidates[:_SHOWN])
    if not candidates:
        return Guess("label", None, "none")
    best = candidates[0]
    second = candidates[1].score if len(candidates) > 1 else 0.0
    sure = best.score >= 6 and best.score > second
    return Guess("label", best.column, "sure" if sure else "weak", best.why, shown)


def guess_domain(columns: Sequence[Column], taken: set[str]) -> Guess:
    """The domain: a column with a few dozen values that say where, or to whom, something was shown."""
    found: list[tuple[float, str, str]] = []
    for column in columns:
        if column.name in taken or not _can_be_domain(column):
            continue
        strong, weak = rank(column.name, DOMAINS), rank(column.name, WEAK_DOMAINS)
        if is_counted(column.name):
            strong = weak = None
        score = 10.0 - strong if strong is not None else 4.0 - weak if weak is not None else 1.0
        score -= 0.9 if is_place(column.name) and strong is None else 0.0
        if column.distinct == 2:
            score -= 1.5
        score -= 0.5 if column.distinct > 200 else 0.0
        # A table's column says what the user or the item is like, seldom where it was shown.
        score -= 0.0 if column.in_log else 0.25 if strong is not None else 4.0
        like = "; named like a place where things are shown" if strong is not None else ""
        found.append((score, column.name, f"{column.distinct} values{like}"))
    found.sort(key=lambda item: -item[0])
    shown = tuple((name, why) for _, name, why in found[:_SHOWN])
    if not found:
        return Guess("domain", None, "none")
    score, name, why = found[0]
    clear = len(found) == 1 or found[1][0] < score
    return Guess("domain", name, "sure" if score >= 7 and clear else "weak", why, shown)


def _can_be_domain(column: Column) -> bool:
    if _is_quantity(column) or has(column.name, EXACT_TIMES):
        return False
    if column.values.kind not in ("int", "string") or not 2 <= column.distinct <= MOST_DOMAINS:
        return False
    # Every domain needs rows to learn from, and most rows need a domain.
    after = column.in_log and has(column.name, AFTER)
    return column.values.present > 0.95 and column.distinct * 20 <= column.present and not after


def _is_quantity(column: Column) -> bool:
    """Whether it is named like what is counted or measured, and has the values of it."""
    counts = (
        has(column.name, NUMBERS) and not has(column.name, CATEGORIES) and not has(column.name, IDENTIFIERS)
    )
    return counts and column.values.kind == "int" and column.distinct > _ENTITIES


def guess_user(
    columns: Sequence[Column], taken: set[str], fleeting: Callable[[Column], bool] = lambda _: False
) -> Guess:
    """The user; where no column is named like one, of two that tables are joined by the one of more values.

    Args:
      columns: every column.
      taken: those that have another role.
      fleeting: whether a column's values do not come again, as those of a request do not.
    """
    free = [column for column in columns if column.name not in taken and column.in_log and column.is_key]
    keys = [column for column in free if not has(column.name, ITEMS) and column.distinct >= _ENTITIES]
    most = max(keys, key=lambda column: column.distinct).name if len(free) > 1 and keys else None
    return _entity(
        "user",
        columns,
        taken,
        lambda column: (
            _named(column.name, USERS) or (1.0 if has(column.name, WEAK_USERS) else 0.0),
            "named like a user" if of_its_own(column.name, USERS) else "named like what a user is like",
        ),
        fleeting,
        most,
    )


def guess_item(
    columns: Sequence[Column], taken: set[str], fleeting: Callable[[Column], bool] = lambda _: False
) -> Guess:
    """The item; by whatever name, what a table is joined by that is not the user's.

    Args:
      columns, taken, fleeting: as for `guess_user`.
    """

    def named(column: Column) -> tuple[float, str]:
        if of_its_own(column.name, ITEMS):
            return 3.0, "named like an item"
        if column.is_key and column.distinct >= _ENTITIES:
            return _KEY, "a table is joined by it"
        return _named(column.name, ITEMS), "named like what an item is like"

    guess = _entity("item", columns, taken, named, fleeting)
    if guess.candidates:
        return guess
    others = [
        column
        for column in columns
        if column.name not in taken and _identifies(column) and not fleeting(column)
    ]
    others.sort(key=lambda column: -column.distinct)
    shown = tuple((c.name, f"{c.distinct:,} values {c.where}; an identifier") for c in others[:_SHOWN])
    return Guess("item", shown[0][0], "weak", shown[0][1], shown) if shown else guess


def _identifies(column: Column) -> bool:
    """Whether a column of the log names one of many things that come again, and its name does not say what."""
    name = words(column.name)
    known = (
        USERS | WEAK_USERS | AUTHORS | REQUESTS | PARTS_OF_TIME | frozenset().union(*DOMAINS, *WEAK_DOMAINS)
    )
    return (
        column.in_log
        and column.values.kind in ("int", "string")
        and column.distinct >= _ENTITIES
        and column.present >= 2 * column.distinct
        and has(column.name, IDENTIFIERS)
        and not any(word in known or word in CATEGORIES - IDENTIFIERS for word in name)
    )


def _named(name: str, vocabulary: frozenset[str]) -> float:
    """What a name says for a role: nothing where it is that of one of the entity's attributes."""
    return 3.0 if of_its_own(name, vocabulary) else _ATTRIBUTE if has(name, vocabulary) else 0.0


def guess_author(columns: Sequence[Column], taken: set[str]) -> str | None:
    """The item's maker, where a column is named like one."""
    found = [
        column
        for column in columns
        if column.name not in taken
        and column.values.kind in ("int", "string")
        and has(column.name, AUTHORS)
        and column.distinct >= 20
        and words(column.name)[0] not in ("is", "has")
    ]
    return max(found, key=lambda column: column.distinct).name if found else None


def _like_ids(column: Column) -> bool:
    """Whether it holds texts of one word with digits, which come again: what a user is called by, in most logs."""
    if column.values.kind != "string" or column.distinct < 2 * _ENTITIES or column.is_key:
        return False
    texts = column.values.column.drop_nulls()
    ids = int((texts.str.contains(r"\d") & ~texts.str.contains(r"\s")).sum())
    return ids > 0.95 * len(texts) and column.present >= 2 * column.distinct


def _entity(
    role: str,
    columns: Sequence[Column],
    taken: set[str],
    named: Callable[[Column], tuple[float, str]],
    fleeting: Callable[[Column], bool],
    most: str | None = None,
) -> Guess:
    found: list[tuple[float, str, str]] = []
    for column in columns:
        if not column.in_log or column.name in taken or column.values.kind not in ("int", "string"):
            continue
        score, like = named(column)
        likely = _like_ids(column) and not of_its_own(column.name, ITEMS) and not fleeting(column)
        by_values = score == 0 and role == "user" and (likely or column.name == most)
        if by_values:
            like = "texts like ids, which come again"
            if column.name == most:
                like = "a table is joined by it, and it has the most values of such"
            score = _BY_VALUES
        if score == 0 or column.distinct < 3 or words(column.name)[0] in ("is", "has", "num"):
            continue
        if not by_values:
            identified = has(column.name, IDENTIFIERS) or len(words(column.name)) == 1
            score += 1.0 if identified else -1.0
            score += 1.0 if column.is_key else 0.0
            score += 0.5 if column.distinct >= _ENTITIES else -1.0
        per = column.present / max(1, column.distinct)
        score -= 2.0 if per < 1.02 and len(columns) > 1 else 0.0
        why = f"{column.distinct:,} values {column.where}, {per:.1f} rows each; {like}"
        if role == "item" and score > 0 and fleeting(column):
            score -= _FLEETING
            why += "; they do not come again, as a request's"
        found.append((score, column.name, why))
    # Eleven values that are named like a session are no user, where a column has thousands that look like ids.
    found = [item for item in found if item[0] > 0] or found
    found.sort(key=lambda item: -item[0])
    shown = tuple((name, why) for _, name, why in found[:_SHOWN])
    if not found:
        return Guess(role, None, "none")
    score, name, why = found[0]
    clear = len(found) == 1 or found[1][0] < score
    certainty: Certainty = "sure" if score >= _SURE and clear else "weak" if score >= _DOUBTED else "none"
    return Guess(
        role,
        name if certainty != "none" else None,
        certainty,
        why,
        shown,
    )
