"""What the first pass found, put together and evaluated: does this log make a training and an evaluation split?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from components.dataset.blocks import read_all
from components.dataset.declaration import DAY_MS, Declaration
from components.dataset.read_plan import Piece, ReadPlan
from components.errors import InputError
from components.example_gen.scan import SHOWN_DOMAINS

_SHOWN = 5
_STRAY = 0.01
# How seldom chance leaves one of the days without a click.
_NO_CLICK = 1e-4
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Scan:
    """The whole log, as the first pass saw it.

    Attributes:
      rows: lines that hold a row or something unreadable (the header and empty lines do not count).
      rejected: rows that cannot be used.
      later: further rows, left out by `split.since`, `split.before` and `split.domains_since`.
      rejects: (path, line, reason) of the first of them, in the order of files and lines.
      days: local day (`split.day_hours` long), counted from 1970-01-01 -> accepted rows.
      clicks: of these, by day, those with label 1.
      domain_rows: accepted rows of each value of the domain.
      by_file: (rows, rejected) of each file.
      spelled: rows by text of the label, where it is a click but for case or spaces (`example_gen.spellings`).
    """

    rows: int
    rejected: int
    rejects: tuple[tuple[str, int, str], ...]
    days: dict[int, int]
    clicks: dict[int, int]
    domain_rows: dict[str, int]
    by_file: tuple[tuple[int, int], ...]
    spelled: dict[str, int]
    later: int = 0

    @property
    def domains(self) -> tuple[str, ...]:
        """The values of the domain."""
        return tuple(sorted(self.domain_rows))

    @property
    def accepted(self) -> int:
        """Rows that can be used, duplicates included."""
        return self.rows - self.rejected

    @property
    def positives(self) -> int:
        """Accepted rows with label 1."""
        return sum(self.clicks.values())


def merge(plan: ReadPlan, pieces: Sequence[Piece], documents: Sequence[dict[str, Any]], shown: int) -> Scan:
    """Adds up the pieces; line numbers within a piece's part of a file become line numbers of the file."""
    rejects: list[tuple[str, int, str]] = []
    by_file = [[0, 0] for _ in plan.files]
    first_line = {number: file.first_line for number, file in enumerate(plan.files)}
    day_counts, clicks = Counter[int](), Counter[int]()
    domains, spelled = Counter[str](), Counter[str]()
    for piece, scan in zip(pieces, documents, strict=True):
        for place, line, reason in scan["rejects"]:
            number = piece.file + place
            rejects.append((plan.files[number].path, first_line[number] + line, reason))
        for number, (lines, rows, rejected) in enumerate(scan["files"], piece.file):
            first_line[number] += lines
            by_file[number][0] += rows
            by_file[number][1] += rejected
        day_counts.update({int(day): count for day, count in scan["days"].items()})
        clicks.update({int(day): count for day, count in scan["clicks"].items()})
        domains.update(scan["domains"])
        spelled.update(scan["spelled"])
        del rejects[shown:]
    return Scan(
        rows=sum(rows for rows, _ in by_file),
        rejected=sum(rejected for _, rejected in by_file),
        rejects=tuple(rejects),
        days=dict(sorted(day_counts.items())),
        clicks=dict(sorted(clicks.items())),
        domain_rows=dict(domains),
        by_file=tuple((rows, rejected) for rows, rejected in by_file),
        spelled=dict(spelled),
        later=sum(scan["later"] for scan in documents),
    )


def silent_days(scan: Scan) -> list[int]:
    """Days of so many rows that, at the click rate of the others, chance leaves none of them without a click."""
    others = sum(rows for day, rows in scan.days.items() if scan.clicks.get(day))
    if not others:
        return []
    rate = scan.positives / others
    return [
        day
        for day, rows in scan.days.items()
        if not scan.clicks.get(day) and len(scan.days) * (1 - rate) ** rows <= _NO_CLICK
    ]


def first_eval_day(plan: ReadPlan, scan: Scan) -> int:
    """Judges the log and returns the first day of `eval`: the last `split.eval_days` days that have rows.

    Raises:
      InputError: the log is empty; too many rows are rejected; the domain or the label has one value; there are too
        few days to train, to validate and to evaluate on; the days that validate or evaluate have next to no rows.
    """
    for problem in problems(plan, scan):
        raise InputError(problem)
    return sorted(scan.days)[-plan.declaration.split.eval_days]


def problems(plan: ReadPlan, scan: Scan) -> Iterator[str]:
    """What makes a run on this log impossible, the first thing first."""
    declaration = plan.declaration
    more = len(plan.files) - 1
    names = plan.files[0].path + (f" and {more} more file{'s' * (more > 1)}" if more else "")
    if scan.rows == 0 and scan.later:
        yield f"{names}: none of the {scan.later} rows is {_limits(declaration)}: widen it"
        return
    if scan.rows == 0:
        yield f"{names}: no impressions: there is nothing below the header"
        return
    if scan.rejected > declaration.max_rejected_share * scan.rows or scan.accepted == 0:
        yield _too_many_rejects(plan, scan)
    if scan.accepted == 0:
        return
    if len(scan.domains) < 2:
        yield (
            f"{names}: the domain column {declaration.domain} has only the value {scan.domains[0]!r} in all "
            f"{scan.accepted} rows; a data set needs two domains or more: declare another column as `domain`"
        )
    for domain, moment in declaration.split.domains_since.items():
        if domain not in scan.domains and len(scan.domains) < SHOWN_DOMAINS:
            yield (
                f"split.domains_since: {names}: no row of domain {domain!r} from {moment} on; there are those of "
                f"{', '.join(scan.domains[:_SHOWN])}"
            )
    if scan.positives in (0, scan.accepted):
        remedy = "" if declaration.positive is None else ", or other values as `positive`"
        yield (
            f"{names}: the label {declaration.label} is {int(scan.positives > 0)} in all {scan.accepted} rows"
            f"{_label_values(plan)}; "
            f"there is nothing to learn: declare another column as `label`{remedy}"
        )
    split = declaration.split
    needed = split.eval_days + split.validation_days + 1
    found = sorted(scan.days)
    if len(found) < needed:
        ends = dict.fromkeys(day_name(day, split.day_ms) for day in (found[0], found[-1]))
        ended = f" {_limits(declaration)}" if scan.later else ""
        shorter = " To split a log of hours, make split.day_hours smaller." if split.day_hours > 1 else ""
        yield (
            f"{names}: rows of {len(found)} {split.day_word} ({' to '.join(ends)}, in "
            f"{declaration.time_zone}){ended}, but {needed} are needed: split.eval_days = {split.eval_days} to "
            f"evaluate, split.validation_days = {split.validation_days} to validate, and one or more to train. "
            f"Give more {split.day_word}, or lower these settings.{shorter}"
        )
        return
    yield from _next_to_no_rows(plan, scan, names)


def _limits(declaration: Declaration) -> str:
    """The part of the log that is read, in words."""
    split = declaration.split
    limits = [("from split.since", split.since), ("before split.before", split.before)]
    return " and ".join(f"{words} = {moment}" for words, moment in limits if moment is not None)


def _next_to_no_rows(plan: ReadPlan, scan: Scan, names: str) -> Iterator[str]:
    """A few rows with stray dates, or a day that has just begun, would decide what is trained and what is pushed."""
    split = plan.declaration.split
    found = sorted(scan.days)
    trained, evaluated = found[: -split.eval_days], found[-split.eval_days :]
    validating = [day for day in trained if day > trained[-1] - split.validation_days]
    usual = sorted(scan.days.values())[len(found) // 2]
    whole = max(day for day in found if scan.days[day] >= _STRAY * usual)
    cut = f"leave them out with --set split.before='{day_name(whole + 1, split.day_ms)}', or mend the timestamps"
    for part, days, remedy in (
        ("evaluate", evaluated, cut),
        ("validate", validating, "raise split.validation_days or split.eval_days, or mend the timestamps"),
    ):
        rows = sum(scan.days[day] for day in days)
        if rows < _STRAY * usual * len(days):
            shown = ", ".join(
                f"{day_name(day, split.day_ms)} ({scan.days[day]:,} rows)" for day in days[:_SHOWN]
            )
            yield (
                f"{names}: the {split.day_word} to {part} on have next to no rows: {shown}, in "
                f"{plan.declaration.time_zone}, where half of all {split.day_word} have {usual:,} or more: stray "
                f"dates, or a day that has just begun; {remedy}"
            )
            return


def day_name(day: int, day_ms: int = DAY_MS) -> str:
    """ISO date of a day counted from 1970-01-01; with the time where days are not of 24 hours."""
    if day_ms == DAY_MS:
        return (_EPOCH + timedelta(days=day)).isoformat()
    return (datetime(1970, 1, 1) + timedelta(milliseconds=day * day_ms)).isoformat(" ", "minutes")


def _label_values(plan: ReadPlan) -> str:
    """The values at the beginning of the log, most rows first, and which of them count as 1."""
    positive = plan.declaration.positive
    first = next(read_all(plan.files[0]), None)
    if positive is None or first is None:
        return ""
    counts = first.frame[plan.declaration.label].drop_nulls().value_counts(sort=True)
    shown = ", ".join(str(value) for value, _ in counts.head(_SHOWN).iter_rows())
    more = ", ..." if len(counts) > _SHOWN else ""
    counted = f"at least {positive.at_least:g}" if positive.one_of is None else " or ".join(positive.one_of)
    return f" (its values: {shown}{more}; 1 is {counted})"


def date_of(day: int, day_ms: int) -> str:
    """ISO date on which a day of any length begins."""
    return (_EPOCH + timedelta(milliseconds=day * day_ms)).isoformat()


def _too_many_rejects(plan: ReadPlan, scan: Scan) -> str:
    left_out = f"; {scan.later} rows not {_limits(plan.declaration)} left out" if scan.later else ""
    shown = "\n".join(f"  {path}:{line}: {reason}" for path, line, reason in scan.rejects[:_SHOWN])
    return (
        f"{scan.rejected} of {scan.rows} rows cannot be used ({scan.rejected / scan.rows:.2%}, more than "
        f"max_rejected_share = {plan.declaration.max_rejected_share:.2%} allows{left_out}); the first:\n{shown}\n"
        "Mend the files, or the types in the declaration; or allow more with --set max_rejected_share=SHARE."
    )
