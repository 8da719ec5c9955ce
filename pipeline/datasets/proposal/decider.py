"""What is given counts, what is sure is taken, the rest is asked for, with what may help to answer."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from components.dataset.names import meant
from components.errors import InputError
from pipeline.datasets.proposal.figures import highest, lowest, mean
from pipeline.datasets.proposal.guess import Guess
from pipeline.datasets.proposal.roles import WORDS_OF_EVENTS, Column
from pipeline.datasets.proposal.several import lists_of_ids
from pipeline.datasets.proposal.words import EVENTS, LABELS, TIMES, has, rank, words

_FLAGS = {
    "label": "--label",
    "domain": "--domain",
    "user": "--user",
    "item": "--item",
    "timestamp": "--timestamp",
}
WITHOUT = {
    "label": "; if all rows are clicks, a model needs what was shown and not clicked as well",
    "user": "; --yes goes on without one",
    "item": "; --yes goes on without one",
    "timestamp": "; if the log has no time at all, --no-time splits it at random by user",
    "domain": "; it may be one of a table joined with --lookup FILE=KEY, as the item's category",
}
"""What may be done about a role that no column is like."""
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
      more: role -> what else is known where it is not certain.
    Raises:
      InputError: one column is given for two roles.
    """

    def __init__(
        self,
        columns: dict[str, Column],
        given: Mapping[str, str | None],
        ask: Asker | None,
        take_guesses: bool,
        more: Mapping[str, str] | None = None,
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
        self._more = more or {}
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
            told = [
                _events(every),
                _times_of_reactions(every),
                _numbers_of_reactions(every),
                lists_of_ids(every),
            ]
            said += "".join(itertools.chain(*told))
        said += f"\n{self._more[guess.role]}" if self._more.get(guess.role) else ""
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
        counts = label.values.column.drop_nulls().value_counts()
        counts = counts.sort("count", label.values.column.name, descending=[True, False])
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
    without = WITHOUT.get(guess.role, "")
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
        if few and has(column.name, EVENTS) and WORDS_OF_EVENTS.issuperset(words(column.name)):
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
