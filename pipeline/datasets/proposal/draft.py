"""From sampled files to what each section of the declaration says, with the reason for each."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import polars as pl

from components.dataset.declaration import iana_zone
from components.dataset.input_names import input_name
from components.dataset.label import is_positive
from components.dataset.sections import Positive, TimeUnit
from components.dataset.values import to_local_ms
from components.errors import InputError
from pipeline.datasets.proposal import clock, features, roles
from pipeline.datasets.proposal.features import Choice
from pipeline.datasets.proposal.guess import Guess
from pipeline.datasets.proposal.kinds import values_of
from pipeline.datasets.proposal.leaks import Leak, find_leaks
from pipeline.datasets.proposal.roles import Column, LabelCandidate
from pipeline.datasets.proposal.split import SplitChoice, day_hours
from pipeline.datasets.proposal.tables import Sources

_FLAGS = {
    "label": "--label",
    "domain": "--domain",
    "user": "--user",
    "item": "--item",
    "timestamp": "--timestamp",
}
_AVERAGED_CATEGORIES = 2
Asker = Callable[[Guess, list[str]], str | None]


@dataclass
class Draft:
    """Everything a declaration will say.

    Attributes:
      name: of the data set.
      sources: the files.
      columns: every column of the joined sample, by name.
      guesses: role -> guess.
      label: the label's column and rule.
      unit, zone, zone_why: of the timestamp.
      hours: what counts as a day.
      choices: what becomes of every other column.
      leaks: suspicious columns.
      author: the item's maker.
      warnings: what the user should look at.
      split, min_rows, validation_min_rows: set once all rows have been looked at.
    """

    name: str
    sources: Sources
    columns: dict[str, Column]
    guesses: dict[str, Guess]
    label: LabelCandidate
    unit: TimeUnit
    zone: str
    zone_why: str
    hours: float
    choices: list[Choice] = field(default_factory=list)
    leaks: list[Leak] = field(default_factory=list)
    author: str | None = None
    warnings: list[str] = field(default_factory=list)
    split: SplitChoice | None = None
    min_rows: int = 500
    validation_min_rows: int = 100

    def role(self, name: str) -> str | None:
        """The column of a role."""
        return self.guesses[name].column

    def of(self, place: str) -> list[Choice]:
        """The choices of a kind: feature, behaviour, after, none."""
        return [choice for choice in self.choices if choice.place == place]

    def local_ms(self) -> pl.Series:
        """When the sampled rows were."""
        column = self.columns[self.guesses["timestamp"].column or ""].values.column
        return to_local_ms(column, self.unit, self.zone).values

    def average_keys(self) -> list[list[str]]:
        """Whose behaviour is averaged: user, item, what items have in common, and the first two by domain."""
        keys: list[list[str]] = [[role] for role in ("user", "item") if self.role(role)]
        shared = [
            choice.column
            for choice in self.of("feature")
            if choice.column not in (self.role("user"), self.role("item"), self.role("domain"))
            and choice.settings["treatment"] == "vocabulary"
            and (choice.column == self.author or "separator" in choice.settings)
        ]
        keys += [[name] for name in shared[:_AVERAGED_CATEGORIES]]
        return keys + [[role, "domain"] for role in ("user", "item") if self.role(role)]


def make_columns(sources: Sources, distinct: Mapping[str, int] | None = None) -> dict[str, Column]:
    """What every column of the sample holds; `distinct` are TFDV's counts of distinct values, where there are any."""
    keys = {lookup.left_key for lookup in sources.lookups}
    columns = {}
    for name in sources.rows.columns:
        values = values_of(sources.rows[name])
        count = (distinct or {}).get(name)
        if count is None:
            plain = values.column.explode() if isinstance(values.column.dtype, pl.List) else values.column
            count = int(plain.drop_nulls().n_unique()) if plain.dtype != pl.Null else 0
        columns[name] = Column(name, values, count, sources.origin(name) is None, name in keys)
    return columns


def draft(
    name: str,
    sources: Sources,
    columns: dict[str, Column],
    given: Mapping[str, str | None],
    positive: str | None,
    zone: str | None,
    ask: Asker | None,
    take_guesses: bool,
) -> Draft:
    """Decides everything that a sample can tell.

    Args:
      name: of the data set.
      sources: the files.
      columns: see `make_columns`.
      given: role -> column, as the user named them.
      positive: which value of the label counts as 1, as the user gave it.
      zone: the time zone, as the user gave it.
      ask: asks the user for a role; `None`: there is nobody to ask.
      take_guesses: whether weak guesses are taken without asking.
    Raises:
      InputError: a role cannot be guessed and nobody can be asked; a given column cannot be what it is said to be.
    """
    if zone is not None:
        try:
            iana_zone(zone)
        except ValueError as error:
            raise InputError(f"--time-zone: {error}") from None
    decide = _Decider(columns, given, ask, take_guesses)
    timestamp, unit = _timestamp(columns, decide)
    taken = {timestamp.column or ""}
    label_guess, label = _label(columns, decide, positive, taken)
    taken.add(label.column)
    everything = list(columns.values())
    user = decide(roles.guess_user(everything, taken), required=False)
    taken.add(user.column or "")
    item = decide(roles.guess_item(everything, taken), required=False)
    taken.add(item.column or "")
    domain = decide(roles.guess_domain(everything, taken), required=True)
    _require_two(columns[domain.column or ""])
    taken.add(domain.column or "")
    found_zone, why = clock.time_zone(
        columns[timestamp.column or ""].values,
        unit,
        {c.name: c.values for c in everything if c.in_log and c.name not in taken},
    )
    if zone is not None:
        found_zone, why = zone, "given"
    result = Draft(
        name=name,
        sources=sources,
        columns=columns,
        guesses={"timestamp": timestamp, "label": label_guess, "user": user, "item": item, "domain": domain},
        label=label,
        unit=unit,
        zone=found_zone,
        zone_why=why,
        hours=24.0,
    )
    result.hours = day_hours(result.local_ms())
    _choose(result, everything, taken)
    return result


class _Decider:
    """Turns guesses into decisions: what is given counts, what is sure is taken, the rest is asked for."""

    def __init__(
        self,
        columns: dict[str, Column],
        given: Mapping[str, str | None],
        ask: Asker | None,
        take_guesses: bool,
    ) -> None:
        self._columns = columns
        self._given = given
        self._ask = ask
        self._take_guesses = take_guesses

    def given(self, role: str) -> str | None:
        """The column that the user named, if any.

        Raises:
          InputError: there is no such column.
        """
        name = self._given.get(role)
        if name is not None and name not in self._columns:
            close = get_close_matches(name, list(self._columns), n=3, cutoff=0.5)
            hint = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(self._columns)}"
            raise InputError(f"{_FLAGS[role]} {name}: no such column; {hint}")
        return name

    def __call__(self, guess: Guess, required: bool) -> Guess:
        named = self.given(guess.role)
        if named is not None:
            return self._taken(guess, named, "given")
        if guess.certainty == "sure":
            return guess
        if guess.certainty == "weak" and self._take_guesses:
            return guess
        if guess.certainty == "none" and not required:
            return guess
        if self._ask is not None and not self._take_guesses:
            answer = self._ask(guess, list(self._columns))
            if answer is not None:
                return self._taken(guess, answer, "sure")
            if not required:
                return Guess(guess.role, None, "none")
        if not required and guess.certainty == "weak":
            return guess
        raise InputError(_cannot_guess(guess, list(self._columns)))

    def _taken(self, guess: Guess, column: str, certainty: Any) -> Guess:
        facts = self._columns[column]
        why = dict(guess.candidates).get(column) or f"{facts.distinct:,} values in the sample"
        return Guess(guess.role, column, certainty, f"given; {why}", guess.candidates)


def _cannot_guess(guess: Guess, columns: list[str]) -> str:
    flag = _FLAGS[guess.role]
    if not guess.candidates:
        return (
            f"the {guess.role} cannot be guessed: name its column with {flag} COLUMN (there are "
            f"{', '.join(columns[:40])}{' ...' if len(columns) > 40 else ''})"
        )
    shown = "\n".join(f"  {name}: {why}" for name, why in guess.candidates)
    return (
        f"the {guess.role} is not certain; it may be\n{shown}\n"
        f"Name it with {flag} COLUMN, or take the first with --yes"
    )


def _timestamp(columns: dict[str, Column], decide: _Decider) -> tuple[Guess, TimeUnit]:
    in_log = {name: column.values for name, column in columns.items() if column.in_log}
    named = decide.given("timestamp")
    if named is not None:
        found = clock.clock_candidate(named, columns[named].values) if columns[named].in_log else None
        if found is None:
            where = (
                f"found {clock.found_instead(columns[named].values)}"
                if columns[named].in_log
                else "it is a column of a lookup table"
            )
            raise InputError(
                f"--timestamp {named}: expected seconds, milliseconds or microseconds since 1970, or ISO text, "
                f"in nearly every row of the impressions; {where}"
            )
        return Guess("timestamp", named, "given", f"given; {found.why}"), found.unit
    candidates = clock.clock_candidates(in_log)
    shown = tuple((candidate.column, candidate.why) for candidate in candidates)
    if not candidates:
        guess = decide(Guess("timestamp", None, "none"), required=True)
    else:
        best = candidates[0]
        clear = len(candidates) == 1 or candidates[1].score < best.score
        certainty: Any = "sure" if best.score >= 1 and clear else "weak"
        guess = decide(Guess("timestamp", best.column, certainty, best.why, shown), required=True)
    chosen = (
        clock.clock_candidate(guess.column or "", in_log[guess.column or ""])
        if guess.column in in_log
        else None
    )
    if chosen is None:
        raise InputError(
            f"{guess.column} cannot be the timestamp: it holds no times; name another with --timestamp"
        )
    return guess, chosen.unit


def _label(
    columns: dict[str, Column], decide: _Decider, positive: str | None, taken: set[str]
) -> tuple[Guess, LabelCandidate]:
    candidates = roles.label_candidates([c for c in columns.values() if c.name not in taken])
    guess = decide(roles.guess_label(candidates), required=True)
    name = guess.column or ""
    column = columns[name]
    if not column.in_log:
        raise InputError(f"the label {name} is a column of a lookup table: it must be in the impressions")
    rule = _rule(column, positive) if positive is not None else None
    found = next((c for c in candidates if c.column == name), None) or roles.label_candidate(
        column, must=True
    )
    if rule is not None:
        _require_both_classes(column, str(positive), rule)
        found = LabelCandidate(name, 0.0, f"given; {positive} counts as 1", rule)
    if found is None:
        shown = ", ".join(map(str, column.values.column.drop_nulls().unique().sort().head(6).to_list()))
        raise InputError(
            f"the label {name} has {column.distinct} values ({shown} ...), and nothing tells which count as 1: give "
            "--positive VALUE (the lowest number that does, or texts separated by commas), or another --label"
        )
    return Guess("label", name, guess.certainty, found.why, guess.candidates), found


def _require_two(domain: Column) -> None:
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
        try:
            return Positive(at_least=float(positive))
        except ValueError:
            raise InputError(
                f"--positive {positive}: {column.name} holds numbers; give the lowest that counts as 1"
            ) from None
    wanted = [text.strip() for text in positive.split(",")]
    known = set(column.values.column.drop_nulls().cast(pl.String).unique().to_list())
    absent = [text for text in wanted if text not in known]
    if absent:
        raise InputError(
            f"--positive {positive}: {column.name} has no value {' or '.join(absent)}; "
            f"it has {', '.join(sorted(known)[:12])}"
        )
    return Positive(one_of=wanted)


def _choose(result: Draft, columns: list[Column], taken: set[str]) -> None:
    label = roles.label_candidate(result.columns[result.label.column], must=True)
    assert label is not None or result.label.positive is not None
    target = _target(result)
    role_of = {result.role(role): role for role in ("domain", "user", "item") if result.role(role)}
    result.author = roles.guess_author(columns, taken)
    if result.author is not None:
        role_of[result.author] = "author"
    fixed = {result.label.column, result.role("timestamp")}
    rest = [column for column in columns if column.name not in fixed]
    after = [column for column in rest if features.is_after(column) and column.name not in role_of]
    after_names = {column.name for column in after}
    plain = [
        c.name
        for c in rest
        if c.name not in after_names and c.values.kind in ("int", "float", "string") and c.name
    ]
    frame = pl.DataFrame({name: result.columns[name].values.column for name in plain})
    leaks = {leak.column: leak for leak in find_leaks(frame, target, plain)}
    result.leaks = list(leaks.values())
    key_of = {
        name: result.columns[lookup.left_key] for lookup in result.sources.lookups for name in lookup.columns
    }
    for column in rest:
        choice = _choice(column, columns, after_names, leaks, role_of.get(column.name), key_of)
        result.choices.append(choice)
    _one_input_each(result, role_of)
    if result.author is not None and result.author not in {c.column for c in result.of("feature")}:
        result.author = None
    _warn(result)


def _choice(
    column: Column,
    columns: list[Column],
    after: set[str],
    leaks: dict[str, Leak],
    role: str | None,
    key_of: dict[str, Column],
) -> Choice:
    if role is None and features.is_reserved(column.name):
        return Choice(column.name, "none", "the name is reserved: rename the column to use it")
    if column.name in after:
        return features.behaviour(column, columns)
    if role is None and column.name in leaks:
        leak = leaks[column.name]
        return Choice(
            column.name, "after", f"{leak.why}; move it to features if it is known before the exposure"
        )
    return features.feature(column, key_of.get(column.name), role)


def _one_input_each(result: Draft, roles_of: Mapping[str | None, str]) -> None:
    """Leaves out features that requests would call as they call another; a column with a role goes first."""
    held: dict[str, str] = {}
    for choice in sorted(result.of("feature"), key=lambda choice: choice.column not in roles_of):
        called = input_name(choice.column)
        other = held.setdefault(called, choice.column)
        if other != choice.column and choice.column not in roles_of:
            choice.place = "none"
            choice.why = f"requests would call it {called}, as they call {other!r}: rename one to use both"
            result.warnings.append(f"{choice.column}: left out: {choice.why}")


def _target(result: Draft) -> pl.Series:
    column = result.columns[result.label.column].values.column
    if result.label.positive is not None:
        return is_positive(column, result.label.positive)
    return column.cast(pl.Int64)


def _warn(result: Draft) -> None:
    for leak in result.leaks:
        kept = leak.column in (result.role("user"), result.role("item"), result.role("domain"), result.author)
        fate = "it has a role and stays" if kept else "it is set aside under post_exposure"
        result.warnings.append(f"{leak.column}: {leak.why}; {fate}")
    for lookup in result.sources.lookups:
        if lookup.matched < 0.99:
            result.warnings.append(
                f"{lookup.table.name}: {1 - lookup.matched:.1%} of the impressions have no row there; "
                "their columns are missing values"
            )
    for column in result.columns.values():
        # What a change of the file would make usable.
        if column.values.kind == "unusable" and column.values.column.dtype == pl.String:
            result.warnings.append(f"{column.name}: set aside: {column.values.why}")
    if result.role("user") is None:
        result.warnings.append("no user: no GAUC, no averages by user; name one with --user")
    if result.role("item") is None:
        result.warnings.append("no item: no averages by item; name one with --item")


def dataset_name(text: str) -> str:
    """A file's or a user's name as the name of a data set."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-._") or "dataset"
