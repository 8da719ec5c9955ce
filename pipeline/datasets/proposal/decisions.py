"""From guesses to decisions about roles: what is given counts, what is sure is taken, the rest is asked for."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from components.dataset.label import is_positive
from components.dataset.names import meant
from components.dataset.sections import Positive
from components.dataset.times import RANDOM_PARTS
from components.errors import InputError
from pipeline.datasets.proposal import roles, timestamps
from pipeline.datasets.proposal.figures import highest, lowest, mean
from pipeline.datasets.proposal.guess import Guess
from pipeline.datasets.proposal.roles import Column, LabelCandidate
from pipeline.datasets.proposal.timestamps import ClockCandidate
from pipeline.datasets.proposal.words import AFTER, EVENTS, LABELS, TIMES, has, rank, words

_FLAGS = {
    "label": "--label",
    "domain": "--domain",
    "user": "--user",
    "item": "--item",
    "timestamp": "--timestamp",
}
_WITHOUT = {
    "label": "; if all rows are clicks, a model needs what was shown and not clicked as well",
    "user": "; --yes goes on without one",
    "item": "; --yes goes on without one",
    "timestamp": "; if the log has no time at all, --no-time splits it at random by user",
    "domain": "; it may be one of a table joined with --lookup FILE=KEY, as the item's category",
}
_WHOLE = 0.9995
_NEARLY_ALL = 0.99
_LOOKED_AT = 1_000
_EVENT_WORDS = EVENTS | {"user", "id", "code", "name"}
# A label of more texts than these is none, or is given with --positive.
_MOST_VALUES = 12
Asker = Callable[[Guess, list[str]], str | None]


class Decider:
    """Turns guesses into decisions.

    Args:
      columns: every column of the joined sample, by name.
      given: role -> column, as the user named them.
      ask: asks the user for a role; `None`: there is nobody to ask.
      take_guesses: whether weak guesses are taken without asking.
    Raises:
      InputError: one column is given for two roles.
    """

    def __init__(
        self,
        columns: dict[str, Column],
        given: Mapping[str, str | None],
        ask: Asker | None,
        take_guesses: bool,
    ) -> None:
        roles_of: dict[str, str] = {}
        for role, column in given.items():
            if column is not None and (other := roles_of.setdefault(column, role)) != role:
                raise InputError(
                    f"{_FLAGS[role]} {column}: is given as {_FLAGS[other]} already, and a column has one role: name "
                    "another column for one of the two"
                )
        self._columns = columns
        self._given = given
        self._ask = ask
        self._take_guesses = take_guesses
        self._doubts: list[str] = []

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """All that would have to be asked meanwhile is raised as one, at the end or where the rest cannot be told."""
        try:
            yield
        except InputError:
            if not self._doubts:
                raise
        if self._doubts:
            raise InputError("\n".join(self._doubts))

    def given(self, role: str) -> str | None:
        """The column that the user named, if any.

        Raises:
          InputError: there is no such column.
        """
        name = self._given.get(role)
        if name is not None and name not in self._columns:
            # A table's column that got a prefix is meant before one that is spelt alike.
            prefixed = next((column for column in self._columns if column.endswith(f"_{name}")), None)
            close = prefixed or meant(name, self._columns, cutoff=0.5)
            hint = f"did you mean {close}?" if close else f"there are {', '.join(self._columns)}"
            raise InputError(f"{_FLAGS[role]} {name}: no such column; {hint}")
        return name

    def __call__(self, guess: Guess, required: bool) -> Guess:
        """The guess as decided; without a column where none is known and none is `required`.

        Raises:
          InputError: a required role is not certain and nobody can be asked; the user named a column that is not there.
        """
        named = self.given(guess.role)
        if named is not None:
            return self._taken(guess, named, "given")
        asks = self._ask is not None and not self._take_guesses
        if guess.certainty == "sure" and not asks:
            return guess
        if guess.certainty == "weak" and self._take_guesses:
            return guess
        # With --yes none is better than what is doubtful.
        goes_without = self._take_guesses or not guess.candidates
        if guess.certainty == "none" and not required and goes_without and not asks:
            return guess
        if self._ask is not None and asks:
            answer = self._ask(guess, list(self._columns))
            if answer is not None and answer == guess.column:
                return dataclasses.replace(guess, certainty="sure")
            if answer is not None:
                return self._taken(guess, answer, "sure")
            if not required:
                return Guess(guess.role, None, "none")
        # With nothing else to name there is nothing to ask: it is taken, and the doubt is said.
        if guess.certainty == "weak" and (not required or len(guess.candidates) == 1):
            return guess
        said = _cannot_guess(guess, list(self._columns))
        if guess.role == "label":
            every = self._columns.values()
            said += "".join([*_events(every), *_times_of_reactions(every), *_numbers_of_reactions(every)])
        said += _unusable(self._columns.values())
        if asks:
            raise InputError(said)
        self._doubts.append(said)
        likely = guess.column or next((name for name, _ in guess.candidates), None)
        if likely is None:
            raise InputError(said)
        # The likeliest for now: the other roles are looked at, too, before anything is asked.
        return dataclasses.replace(guess, column=likely)

    def which_value(self, label: Column) -> str | None:
        """Asks which value of a label of a few texts counts as 1; None where nobody can be asked, or there are many."""
        if self._ask is None or self._take_guesses or label.values.kind != "string":
            return None
        counts = label.values.column.drop_nulls().value_counts(sort=True)
        if len(counts) > _MOST_VALUES:
            return None
        rows = int(counts["count"].sum())
        shown = tuple((value, f"{count / rows:.1%} of the rows") for value, count in counts.iter_rows())
        return self._ask(Guess("positive", None, "none", candidates=shown), [value for value, _ in shown])

    def _taken(self, guess: Guess, column: str, certainty: Any) -> Guess:
        facts = self._columns[column]
        why = dict(guess.candidates).get(column) or f"{facts.distinct:,} values {facts.where}"
        return Guess(guess.role, column, certainty, f"given; {why}", guess.candidates)


def _cannot_guess(guess: Guess, columns: list[str]) -> str:
    flag = _FLAGS[guess.role]
    without = _WITHOUT.get(guess.role, "")
    if not guess.candidates:
        return (
            f"the {guess.role} cannot be guessed: name its column with {flag} COLUMN (there are "
            f"{', '.join(columns[:40])}{' ...' if len(columns) > 40 else ''}){without}"
        )
    shown = "\n".join(f"  {name}: {why}" for name, why in guess.candidates)
    if guess.column is None and guess.certainty == "none":
        doubtful = f"the {guess.role} cannot be guessed; what might be it is doubtful:\n{shown}"
        return f"{doubtful}\nName it with {flag} COLUMN{without}"
    return (
        f"the {guess.role} is not certain; it may be\n{shown}\n"
        f"Name it with {flag} COLUMN, or take the first with --yes"
    )


def _events(columns: Iterable[Column]) -> Iterator[str]:
    """Columns that tell what a user did, of which --positive says what counts."""
    for column in columns:
        few = (
            column.in_log and 2 <= column.distinct <= _MOST_VALUES and column.values.kind in ("int", "string")
        )
        if few and has(column.name, EVENTS) and _EVENT_WORDS.issuperset(words(column.name)):
            values = ", ".join(map(str, column.values.column.drop_nulls().unique().sort().to_list()))
            # Of codes none is more than another.
            which = "=VALUE" if column.values.kind == "int" else "VALUE"
            yield (
                f"\n{column.name} holds {values}: --label {column.name} --positive {which} says which count as 1"
            )


def _times_of_reactions(columns: Iterable[Column]) -> Iterator[str]:
    """Columns that tell when a reaction was, and by a number that is no time that there was none."""
    for column in columns:
        if not column.in_log or column.values.kind != "int" or rank(column.name, LABELS) is None:
            continue
        values = column.values.column.drop_nulls()
        without = mean(values <= 0)
        if 0 < without < 1 and has(column.name, TIMES) and highest(values) > 1:
            yield (
                f"\n{column.name} holds times, and {lowest(values):g} in {without:.1%} of the rows: if that is none, "
                f"--label {column.name} --positive 1"
            )


def _numbers_of_reactions(columns: Iterable[Column]) -> Iterator[str]:
    """Columns that count reactions, as where a row stands for several impressions."""
    for column in columns:
        if column.in_log and column.values.kind == "int" and rank(column.name, LABELS) in (0, 1, 2):
            values = column.values.column.drop_nulls()
            if lowest(values) == 0 and 2 < column.distinct <= _MOST_VALUES and not has(column.name, TIMES):
                yield (
                    f"\n{column.name} holds 0 to {highest(values):g}, and 0 in {mean(values == 0):.1%} of the rows: "
                    f"--label {column.name} --positive 1 has each row count once"
                )


def _unusable(columns: Iterable[Column]) -> str:
    """What cannot be used, among which the role may be."""
    return "".join(f"\n{c.name}: {c.values.why}" for c in columns if c.values.kind == "unusable")


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
        raise InputError(f"the timestamp cannot be guessed: {instead}{_WITHOUT['timestamp']}")
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
    return roles.guess_label(likely) if likely else Guess("label", None, "none", candidates=tuple(facts))


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
