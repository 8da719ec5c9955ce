"""What becomes of each remaining column: a feature, a behaviour, or nothing, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl

from components.dataset.names import BEHAVIOUR_PREFIX, LOCAL_TIME
from components.errors import InputError
from pipeline.datasets.proposal.figures import highest, lowest, mean, median, quantile
from pipeline.datasets.proposal.places import Place, Places
from pipeline.datasets.proposal.roles import Column, binary
from pipeline.datasets.proposal.timestamps import (
    constant_within,
    dates_of,
    digits_of_a_day,
    has_a_time_of_its_own,
    later_than,
    reading,
    second_time,
    seen_before,
)
from pipeline.datasets.proposal.words import (
    AFTER,
    AUTHORS,
    BEFORE,
    CATEGORIES,
    DOMAINS,
    EXACT_TIMES,
    IDENTIFIERS,
    ITEMS,
    LABELS,
    LENGTHS,
    NUMBERS,
    OTHER_DATES,
    PARTS_OF_TIME,
    PLAYED,
    POSITIONS,
    SPENT,
    TIMES,
    USERS,
    WEAK_DOMAINS,
    has,
    is_before,
    rank,
    words,
)

_FEW = 50
_MANY = 1_000
_LARGEST_VOCABULARY = 200_000
_FREE_TEXT = 40
_LATER = 0.01
_COMES_AGAIN = 0.02
# What the last word of a name says to be one of many things: a number of it names which.
_THINGS = USERS.union(ITEMS, AUTHORS, *DOMAINS, *WEAK_DOMAINS)


@dataclass
class Choice:
    """What the declaration says of a column.

    Attributes:
      column: its name.
      place: feature, behaviour (after the exposure), or none.
      settings: of the feature or the behaviour.
      why: the comment.
      behaviour: the behaviour's name, where it differs from the column's.
      judged: set aside by what was judged of it, so that the user may know better.
      place_of: why it is, or may be, where an item was shown.
    """

    column: str
    place: str
    why: str
    settings: dict[str, Any] = field(default_factory=dict)
    behaviour: str = ""
    judged: bool = False
    place_of: Place | None = None


def is_after(column: Column) -> bool:
    """Whether its name says that it is only known after the exposure; a lookup's columns and key are known before."""
    if not column.in_log or column.is_key or column.values.kind == "list":
        return False
    name = words(column.name)
    long_view = "long" in name and "view" in name
    spent = not SPENT.isdisjoint(pairwise(name))
    # Of two labels one is predicted, and neither is known before.
    last = next((word for word in reversed(name) if not word.isdigit()), "")
    label = binary(column) and rank(last, LABELS[:3]) is not None
    return (
        (has(column.name, AFTER) or long_view or spent or label)
        and not _describes_item(name)
        and not is_before(column.name)
    )


def _describes_item(name: tuple[str, ...]) -> bool:
    # `play_duration` is behaviour; `video_duration`, `order_id` and `response_time_limit` are not numbers of reactions.
    # Nights in a hotel are asked for before it is shown.
    nights = name[-3:] == ("length", "of", "stay")
    return nights or (
        name[-1] in ("id", "type", "category", "limit", "no", "nr", "number", "code", "level")
        and name[0] not in ("is", "has")
    )


def is_reserved(name: str) -> bool:
    """Whether examples use the name for something else."""
    return name == LOCAL_TIME or name.startswith(BEHAVIOUR_PREFIX)


def behaviour(column: Column, columns: list[Column]) -> Choice:
    """A column from after the exposure: averaged when it is a number, never a feature."""
    name = column.name
    if column.values.kind not in ("int", "float"):
        return Choice(name, "after", "text, named like what comes after the exposure: set aside", judged=True)
    if column.values.written != "plain":
        return Choice(name, "after", f"named like a reaction; {column.values.why}: set aside", judged=True)
    if has(name, EXACT_TIMES) and digits_of_a_day(column.values):
        return Choice(
            name, "after", "when a reaction was, as digits of day, hour and minute: set aside", judged=True
        )
    if has(name, TIMES) and reading(column.values)[0] is not None:
        return Choice(name, "after", "when a reaction was: set aside", judged=True)
    if binary(column):
        share = mean(column.values.column)
        return Choice(
            name, "behaviour", f"0 and 1, {share:.1%} ones; named like a reaction", {"column": name}, name
        )
    length = _length_of(column, columns)
    if length is not None:
        why = f"time spent as a share of {length}; {name} is only known after the exposure"
        return Choice(
            name,
            "behaviour",
            why,
            {"numerator": name, "denominator": length, "clip": [0, 2]},
            f"{name}_ratio",
        )
    numbers = column.values.column.cast(pl.Float64).drop_nulls()
    low, high = lowest(numbers), quantile(numbers, 0.99)
    settings: dict[str, Any] = {"column": name}
    why = f"{_range(numbers)}; named like a reaction"
    if high > low:
        settings["clip"] = [_neat(min(low, 0.0)), _neat(high)]
        why += ", cut at its 99th percentile"
    return Choice(name, "behaviour", why, settings, name)


def _length_of(column: Column, columns: list[Column]) -> str | None:
    """The column that a time spent is a share of: in the same unit, of the same size."""
    if not has(column.name, PLAYED):
        return None
    spent = column.values.column.cast(pl.Float64)
    for other in columns:
        if other.name == column.name or not has(other.name, LENGTHS) or is_after(other):
            continue
        if other.values.kind not in ("int", "float") or other.values.written != "plain":
            continue
        same_unit = _unit(other.name) == _unit(column.name)
        ratio = median((spent / other.values.column.cast(pl.Float64)).filter(spent > 0))
        if same_unit and 0.02 < ratio < 5:
            return other.name
    return None


def _unit(name: str) -> str:
    last = words(name)[-1]
    return last if last in ("ms", "s", "sec", "secs", "second", "seconds", "min", "minutes") else ""


def feature(
    column: Column, columns: Sequence[Column], key: Column | None, clock_ms: pl.Series, places: Places
) -> Choice:
    """A column that is known before the exposure.

    Args:
      column: the column.
      columns: those beside it.
      key: the key of the lookup that it comes from.
      clock_ms: the impressions' timestamps.
      places: tells where an item was shown.
    """
    refused = _refusal(column, key)
    if refused is not None:
        return Choice(column.name, "none", refused)
    judged = _judgement(column, columns, key, clock_ms)
    if judged is not None:
        return Choice(column.name, "none", judged, judged=True)
    choice = as_feature(column)
    place = places.find(column)
    if place is not None and place.certain:
        choice.settings["at_serving"] = place.served
        choice.why += (
            f"; a place among what is shown, not known before ({place.why}): learned as logged, {place.served} when "
            "serving"
        )
    choice.place_of = place
    return choice


def as_feature(column: Column) -> Choice:
    """How a column is used that is used."""
    name, values = column.name, column.values
    dates = dates_of(column)
    if dates is not None:
        settings: dict[str, Any] = {"type": "float", "treatment": "normalise"}
        if dates.written != "plain":
            settings["written"] = dates.written
        return Choice(name, "feature", dates.why, settings)
    if values.kind == "list":
        settings = {
            "type": values.item,
            "treatment": "vocabulary",
            **({"list": True} if values.separator is None else {"separator": values.separator}),
        }
        settings["max_length"] = values.max_length
        if column.distinct > _MANY:
            settings["min_count"] = 5
        return Choice(name, "feature", f"list: {values.why}", settings)
    named_numbers = values.written != "plain" and has(name, IDENTIFIERS)
    if values.kind == "float" and column.stated != "token" and not named_numbers:
        return _number(column)
    if values.kind == "int" and _is_number(column):
        return _number(column)
    return _category(column)


def kept(column: Column) -> Choice:
    """A column that the user wants as a feature.

    Raises:
      InputError: it cannot be one.
    """
    refused = _refusal(column, None)
    if refused is not None:
        raise InputError(f"--keep {column.name}: it cannot be a feature: {refused}")
    choice = as_feature(column)
    choice.why = f"kept; {choice.why}"
    return choice


def _refusal(column: Column, key: Column | None) -> str | None:
    """Why nothing could be learnt from a column, whatever it means."""
    values = column.values
    if not column.name:
        return "it has no name"
    if values.kind == "empty":
        return "no values"
    if values.kind == "unusable":
        return values.why
    if column.distinct <= 1 and values.present >= 1:
        return f"the same value in all rows: {str(values.column.drop_nulls().first())[:40]!r}"
    own = column.in_log and column.distinct >= 0.9 * column.present and column.present > _FEW
    if own and (values.kind == "string" or has(column.name, IDENTIFIERS)):
        if column.distinct == column.present:
            return "a value of its own in every row: nothing to learn"
        counted = f"{column.distinct:,} values in {column.present:,} rows"
        return f"a value of its own in nearly every row ({counted}): nothing to learn"
    if (
        key is not None
        and values.kind == "string"
        and column.distinct > _FEW
        and column.distinct >= 0.95 * key.distinct
    ):
        return f"one value for each {key.name}, which says as much"
    return None


def _judgement(
    column: Column, columns: Sequence[Column], key: Column | None, clock_ms: pl.Series
) -> str | None:
    """Why a column is better left out, as far as its name and its values tell."""
    name, values = column.name, column.values
    if column.in_log and (second := second_time(column, columns, clock_ms)) is not None:
        return second
    if has_a_time_of_its_own(column, clock_ms):
        return "each value has a time of its own, so tomorrow's is not known"
    dates = dates_of(column)
    if dates is not None and (later := later_than(dates, clock_ms)) > _LATER:
        return f"a date that lies after the impression in {later:.0%} of the rows: it was not known then"
    of_entity = has(name, OTHER_DATES) or (dates is not None and constant_within(column, columns) is not None)
    if column.in_log and has(name, PARTS_OF_TIME) and not of_entity and values.kind in ("int", "string"):
        last = words(name)[-1]
        if last in ("date", "hourmin", "year") or column.distinct > 366:
            return "a part of the time, which requests do not carry"
    names = values.kind == "string" or (values.kind == "int" and not _is_number(column))
    if column.in_log and names and does_not_come_again(column, clock_ms):
        return "its values do not come again: of tomorrow's nothing is known"
    if values.kind == "string" and column.distinct > _FEW:
        length = mean(values.column.drop_nulls().str.len_chars())
        if length > _FREE_TEXT:
            return f"free text ({length:.0f} characters on average)"
    return None


def does_not_come_again(column: Column, clock_ms: pl.Series) -> bool:
    """Whether hardly any of the last rows has a value of the column that there was before."""
    return column.distinct > _FEW and seen_before(column, clock_ms) < _COMES_AGAIN


def identity(column: Column, role: str) -> Choice:
    """A column with a role: domain, user, item or author."""
    plain_number = column.values.kind != "string" and column.values.written == "plain"
    kind = "int" if plain_number else "string"
    settings: dict[str, Any] = {"type": kind, "treatment": "vocabulary"}
    if role == "domain":
        return Choice(column.name, "feature", f"the domain: {column.distinct} values", settings)
    settings.update({"max_size": _LARGEST_VOCABULARY, "min_count": 5, "oov_buckets": 16})
    return Choice(
        column.name,
        "feature",
        f"the {role}: an identifier; values of fewer than 5 rows share 16 buckets",
        settings,
    )


def _is_number(column: Column) -> bool:
    """Whether ints count something, rather than name it."""
    if column.stated:
        return column.stated == "float"
    name = column.name
    last = words(name)[-1:] or ("",)
    if has(name, POSITIONS):
        return False
    if last[0] in NUMBERS or last[0].removesuffix("s") in NUMBERS:
        return column.distinct > 8
    if has(name, CATEGORIES) or has(name, IDENTIFIERS):
        return False
    if has(name, NUMBERS):
        return column.distinct > 8
    if last[0] in _THINGS and "per" not in words(name):
        return False
    # `hist_1` to `hist_10` are which items came before.
    if BEFORE.issuperset(word for word in words(name) if not word.isdigit()) and words(name):
        return False
    if column.distinct <= _FEW:
        return False
    numbers = column.values.column.drop_nulls().unique().to_numpy()
    # Codes are spread over their range; counts crowd at its low end.
    return bool(np.median(numbers) < 0.4 * (numbers.min() + numbers.max()) or numbers.min() < 0)


def _number(column: Column) -> Choice:
    numbers = column.values.column.cast(pl.Float64).drop_nulls()
    low, middle = lowest(numbers), median(numbers)
    high = quantile(numbers, 0.99)
    long_tail = low >= 0 and high > 4 * max(middle, 1e-9) and high > 3
    treatment = "log_normalise" if long_tail else "normalise"
    why = f"{_range(numbers)}, median {middle:.4g}" + (": a long tail" if long_tail else "")
    settings = {"type": "float", "treatment": treatment}
    if column.values.written != "plain":
        settings["written"] = column.values.written
        why += f"; {column.values.why}"
    return Choice(column.name, "feature", why, settings)


def _category(column: Column) -> Choice:
    as_text = _minus_one_counts(column)
    kind = "int" if column.values.kind == "int" and not as_text else "string"
    settings: dict[str, Any] = {"type": kind, "treatment": "vocabulary"}
    identifier = column.distinct > _MANY
    if identifier:
        settings.update({"max_size": _LARGEST_VOCABULARY, "min_count": 5, "oov_buckets": 16})
    elif column.distinct > _FEW:
        settings["min_count"] = 5
    what = "an identifier" if identifier else "a category"
    values = "numbers" if column.values.kind == "int" else "texts"
    why = f"{what}: {column.distinct:,} {values} {column.where}"
    if as_text:
        why += "; texts, as -1 is one of the values, and among ints it stands for none"
    return Choice(column.name, "feature", why, settings)


def _minus_one_counts(column: Column) -> bool:
    """Whether -1 is a number like any other: rows without a value say so otherwise, or there are lower ones."""
    if column.values.kind != "int":
        return False
    numbers = column.values.column
    return bool((numbers == -1).any()) and (numbers.null_count() > 0 or lowest(numbers.drop_nulls()) < -1)


def _range(numbers: pl.Series) -> str:
    return f"{lowest(numbers):.4g} to {highest(numbers):.4g}"


def _neat(value: float) -> float:
    """Three digits, an int where it is one."""
    rounded = float(f"{value:.3g}")
    return int(rounded) if rounded == int(rounded) else rounded
