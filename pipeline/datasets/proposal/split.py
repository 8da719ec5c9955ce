"""What is evaluated on: the last days that hold enough rows, or the last hours of a short log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from components.errors import InputError

DAY_HOURS = 24.0
_FEWEST_DAYS = 4
_STRETCHES = (12.0, 8.0, 6.0, 4.0, 3.0, 2.0, 1.0, 0.5, 0.25, 1 / 6, 1 / 12, 1 / 60)
_EVAL_SHARE, _VALIDATION_SHARE = 0.12, 0.08
_BUCKETS = 120
_NEAT_BUCKETS = (24.0, 48.0, 168.0, 336.0, 720.0, 2160.0, 8760.0)
# The lowest asks for 10 rows of the rarer class: fewer say nothing about an AUC.
_ROWS_THAT_DECIDE = (500, 200, 100)


@dataclass(frozen=True)
class SplitChoice:
    """Settings of the split and why.

    Attributes:
      eval_days, validation_days, day_hours: as declared.
      bucket_hours: of the moving averages.
      why: for the comment.
      first_eval_day: number of the first day of `eval`.
    """

    eval_days: int
    validation_days: int
    day_hours: float
    bucket_hours: float
    why: str
    first_eval_day: int


def day_hours(local_ms: pl.Series) -> float:
    """What should count as a day: 24 hours when the log has enough days, else a neat part of what it covers.

    Raises:
      InputError: all rows are of the same minute.
    """
    moments = local_ms.drop_nulls()
    if (moments // 86_400_000).n_unique() >= _FEWEST_DAYS:
        return DAY_HOURS
    for hours in _STRETCHES:
        if (moments // round(hours * 3_600_000)).n_unique() >= 8:
            return hours
    raise InputError(
        "the timestamps cover less than eight minutes: nothing can be held back by time. Give more of the log, or "
        "another column with --timestamp"
    )


def choose_split(rows_of_day: Mapping[int, int], hours: float) -> SplitChoice:
    """The last days with about an eighth of the rows to evaluate, and enough before them to validate.

    Args:
      rows_of_day: number of the day -> rows.
      hours: what counts as a day.
    """
    days = sorted(rows_of_day)
    total = sum(rows_of_day.values())
    most = max(1, (len(days) - 2) // 2)
    eval_days, rows = 0, 0
    while eval_days < most and (eval_days == 0 or rows < _EVAL_SHARE * total):
        eval_days += 1
        rows += rows_of_day[days[-eval_days]]
    train = days[: len(days) - eval_days]
    in_train = total - rows
    validation, held = 0, 0
    # Counted back in calendar days from the last day of training, as the Trainer does.
    while validation < max(1, len(train) - 1 - 1) and (
        validation == 0 or held < _VALIDATION_SHARE * in_train
    ):
        validation += 1
        held = sum(rows_of_day[day] for day in train if day > train[-1] - validation)
    word = "days" if hours == DAY_HOURS else f"stretches of {hours:g} hours"
    why = (
        f"{len(days)} {word} with rows; the last {eval_days} hold {rows / max(1, total):.0%} of the rows, and "
        f"{validation} before them {held / max(1, in_train):.0%} of the others"
    )
    span = (days[-1] - days[0] + 1) * hours
    bucket = (
        hours
        if hours < DAY_HOURS
        else next((b for b in _NEAT_BUCKETS if span / b <= _BUCKETS), _NEAT_BUCKETS[-1])
    )
    return SplitChoice(eval_days, validation, hours, bucket, why, days[len(days) - eval_days])


def rows_that_decide(rows_by_domain: list[int]) -> int:
    """How many evaluation rows let a domain decide: so many that half of the domains do, or, at the least, two.

    Args:
      rows_by_domain: the highest `min_rows` at which each domain decides (`models.metrics.telling_rows`).
    """
    most = sorted(rows_by_domain, reverse=True)
    middle = most[(len(most) - 1) // 2] if len(most) > 1 else 0
    second = most[1] if len(most) > 1 else 0
    for rows in _ROWS_THAT_DECIDE:
        if middle >= rows or (rows == _ROWS_THAT_DECIDE[-1] and second >= rows):
            return rows
    return _ROWS_THAT_DECIDE[-1]
