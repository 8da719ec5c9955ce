"""From sampled files to what each section of the declaration says, with the reason for each."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from components.dataset.input_names import input_name
from components.dataset.label import is_positive
from components.dataset.names import suggest
from components.dataset.sections import TimeUnit
from components.dataset.times import to_local_ms
from components.errors import InputError
from pipeline.datasets.proposal import clock, features, roles
from pipeline.datasets.proposal.ahead import counted_ahead
from pipeline.datasets.proposal.decider import Asker, Decider
from pipeline.datasets.proposal.decisions import decide_label, decide_timestamp, no_timestamp, require_two
from pipeline.datasets.proposal.features import Choice
from pipeline.datasets.proposal.guess import Guess
from pipeline.datasets.proposal.headers import believed_types
from pipeline.datasets.proposal.keys import ChosenKey
from pipeline.datasets.proposal.kinds import as_stated, values_of
from pipeline.datasets.proposal.leaks import Leak, find_leaks
from pipeline.datasets.proposal.places import Places
from pipeline.datasets.proposal.roles import Column, LabelCandidate
from pipeline.datasets.proposal.several import domains_of_files
from pipeline.datasets.proposal.split import SplitChoice, day_hours
from pipeline.datasets.proposal.tables import Sources
from pipeline.datasets.proposal.timestamps import has_a_time_of_its_own

_AVERAGED_CATEGORIES = 2


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
      keep: columns to use as features whatever is thought of them.
      set_aside: columns that are only known after the exposure, whatever is thought of them.
      choices: what becomes of every other column.
      leaks: suspicious columns.
      author: the item's maker.
      warnings: what the user should look at.
      split, min_rows, validation_min_rows, train_rows_per_domain, deciding (domains that decide), keys (of
        the averages; None: too few clicks to choose them by): set once all rows have been looked at.
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
    keep: frozenset[str] = frozenset()
    set_aside: frozenset[str] = frozenset()
    choices: list[Choice] = field(default_factory=list)
    leaks: list[Leak] = field(default_factory=list)
    author: str | None = None
    warnings: list[str] = field(default_factory=list)
    split: SplitChoice | None = None
    min_rows: int = 500
    validation_min_rows: int = 100
    deciding: int | None = None
    train_rows_per_domain: float | None = None
    keys: list[ChosenKey] | None = None

    def role(self, name: str) -> str | None:
        """The column of a role."""
        return self.guesses[name].column

    def of(self, place: str) -> list[Choice]:
        """The choices of a kind: feature, behaviour, after, none."""
        return [choice for choice in self.choices if choice.place == place]

    def places(self) -> list[str]:
        """What became of the other columns: those set aside by name, for a line each on the screen."""
        behaviours = [choice.column for choice in self.of("behaviour") if not choice.judged]
        after = [choice.column for choice in self.of("after") if not choice.judged]
        doubted = [name for name, column in self.columns.items() if column.values.kind == "unusable"]
        unused = [
            choice.column for choice in self.of("none") if not choice.judged and choice.column not in doubted
        ]
        kinds = (
            ("only known after the exposure, so averaged over the past and never features", behaviours),
            ("only known after the exposure, so set aside", after),
            ("left out, as they tell nothing more", unused),
        )
        label = self.role("label")
        lines = []
        for words, names in kinds:
            others = [name for name in dict.fromkeys(names) if name != label]
            if others:
                lines.append(f"{words}: {', '.join(name or 'a column without a name' for name in others)}")
        return lines

    def local_ms(self) -> pl.Series:
        """When the sampled rows were."""
        return self._ms(self.zone)

    @functools.cached_property
    def moments(self) -> pl.Series:
        """The same as if the zone were UTC."""
        return self._ms("UTC")

    def _ms(self, zone: str) -> pl.Series:
        column = self.columns[self.guesses["timestamp"].column or ""].values.column
        return to_local_ms(column, self.unit, zone).values

    def attributes(self) -> list[str]:
        """Features of a vocabulary without a role."""
        return [
            choice.column
            for choice in self.of("feature")
            if choice.column not in (self.role("user"), self.role("item"), self.role("domain"))
            and choice.settings["treatment"] == "vocabulary"
        ]

    def shared_entities(self) -> list[str]:
        """What items have in common: their maker, and lists."""
        lists = {choice.column for choice in self.of("feature") if choice.settings.get("max_length")}
        return [name for name in self.attributes() if name == self.author or name in lists]

    def roles_with_past(self) -> tuple[str, ...]:
        """Whose earlier rows there are: of parts drawn by user nobody is in two."""
        parted = self.role("timestamp") if self.unit == "random" else None
        return tuple(role for role in ("user", "item") if parted is None or self.role(role) != parted)

    def usual_keys(self) -> list[ChosenKey]:
        """Whose behaviour is mostly worth averaging: user, item, what items have in common, the first two by domain."""
        roles = [role for role in self.roles_with_past() if self.role(role)]
        keys = [(role,) for role in roles] + [
            (name,) for name in self.shared_entities()[:_AVERAGED_CATEGORIES]
        ]
        keys_of_domain = [(role, "domain") for role in roles]
        return [ChosenKey(key, "") for key in (*keys, *keys_of_domain)]


def make_columns(sources: Sources) -> dict[str, Column]:
    """What every column of the sample holds."""
    keys = {lookup.left_key for lookup in sources.lookups}
    stated = believed_types(sources.log.files[0].own_columns)
    for lookup in sources.lookups:
        of_table = believed_types(lookup.table.files[0].own_columns)
        stated |= {name: of_table[source] for name, source in lookup.columns.items() if source in of_table}
    columns = {}
    for name in sources.rows.columns:
        told = stated.get(name, "")
        values = as_stated(sources.rows[name], told) if told else values_of(sources.rows[name])
        plain = values.column.explode() if isinstance(values.column.dtype, pl.List) else values.column
        count = int(plain.drop_nulls().n_unique()) if plain.dtype != pl.Null else 0
        of_log = sources.origin(name) is None
        columns[name] = Column(name, values, count, of_log, name in keys, told, not sources.log.is_whole)
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
    keep: Sequence[str] = (),
    set_aside: Sequence[str] = (),
    no_time: bool = False,
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
      keep: columns to use as features whatever is thought of them.
      set_aside: columns that are only known after the exposure, whatever is thought of them.
      no_time: whether the log has no time at all, and is split at random by user.
    Raises:
      InputError: a role cannot be guessed and nobody can be asked; a given column cannot be what it is said to be.
    """
    of_files = domains_of_files(sources.data_dir, [Path(file.path) for file in sources.log.files])
    decide = Decider(columns, given, ask, take_guesses, {"domain": of_files})
    everything = list(columns.values())
    with decide.together():
        timed = None if no_time else decide_timestamp(columns, decide)
        taken = set() if timed is None else {timed[0].column or ""}
        label_guess, label = decide_label(columns, decide, positive, taken)
        taken |= {label.column, *set_aside}
        timed_ms = (
            None
            if timed is None
            else to_local_ms(columns[timed[0].column or ""].values.column, timed[1].unit, "UTC").values
        )

        def fleeting(column: Column) -> bool:
            return timed_ms is not None and features.does_not_come_again(column, timed_ms)

        user = decide(roles.guess_user(everything, taken, fleeting), required=False)
        taken.add(user.column or "")
        item = decide(roles.guess_item(everything, taken, fleeting), required=False)
        taken.add(item.column or "")
        others = [column for column in everything if column.name != label.column]
        timestamp, moments = timed or no_timestamp(user.column, item.column, others)
        passing = (
            set() if timed_ms is None else {c.name for c in everything if has_a_time_of_its_own(c, timed_ms)}
        )
        domain = decide(roles.guess_domain(everything, taken | passing), required=True)
        require_two(columns[domain.column or ""])
    taken.add(domain.column or "")
    if no_time:
        found = clock.Zone("UTC", "there is no time")
    else:
        found = clock.time_zone(
            columns[timestamp.column or ""].values,
            moments.unit,
            {c.name: c.values for c in everything if c.in_log and c.name not in taken},
        )
    if zone is not None:
        found = clock.Zone(zone, "given")
    result = Draft(
        name=name,
        sources=sources,
        columns=columns,
        guesses={"timestamp": timestamp, "label": label_guess, "user": user, "item": item, "domain": domain},
        label=label,
        unit=moments.unit,
        zone=found.name,
        zone_why=found.why,
        hours=24.0,
        keep=frozenset(_known(columns, keep, "--keep")),
        set_aside=frozenset(_known(columns, set_aside, "--set-aside")),
    )
    if of_files and domain.certainty == "weak":
        result.warnings.append(f"domain: {of_files}")
    result.warnings += [f"timestamp {moments.column}: {doubt}" for doubt in moments.doubts]
    if not found.told:
        result.warnings.append(f"time_zone {found.name}: {found.why}; --time-zone names it")
    result.hours = day_hours(result.local_ms())
    _choose(result, everything, taken)
    return result


def _known(columns: Mapping[str, Column], names: Sequence[str], flag: str) -> Sequence[str]:
    for name in names:
        if name not in columns:
            raise InputError(f"{flag} {name}: no such column.{suggest(name, columns)}")
    return names


def _choose(result: Draft, columns: list[Column], taken: set[str]) -> None:
    label = roles.label_candidate(result.columns[result.label.column], must=True)
    assert label is not None or result.label.positive is not None
    target = _target(result)
    role_of = {result.role(role): role for role in ("domain", "user", "item") if result.role(role)}
    result.author = roles.guess_author(columns, taken)
    if result.author is not None:
        role_of[result.author] = "author"
    fixed = {result.label.column, None if result.unit == "random" else result.role("timestamp")}
    rest = [column for column in columns if column.name not in fixed]
    for name in sorted(result.set_aside & {*fixed, *role_of, *result.keep}):
        role = "label" if name == result.label.column else role_of.get(name)
        what = f"the {role}" if role else "what --keep names, or the time"
        raise InputError(
            f"--set-aside {name}: it is {what}; name another column for that, or leave this one out"
        )
    spared = {*role_of, *result.keep}
    after = [column for column in rest if features.is_after(column) and column.name not in spared]
    after_names = {column.name for column in after}
    plain = [
        c.name
        for c in rest
        if c.name not in after_names and c.values.kind in ("int", "float", "string", "list") and c.name
    ]
    frame = pl.DataFrame({name: result.columns[name].values.column for name in plain})
    found = [*find_leaks(frame, target, plain), *_counted_ahead(result, plain, target)]
    leaks: dict[str, Leak] = {}
    for leak in found:
        if leak.column not in result.keep:
            leaks.setdefault(leak.column, leak)
    result.leaks = list(leaks.values())
    key_of = {
        name: result.columns[lookup.left_key] for lookup in result.sources.lookups for name in lookup.columns
    }
    user = result.columns.get(result.role("user") or "")
    shown = Places(rest, target, user, result.moments)
    for column in rest:
        choice = _choice(result, column, after_names, leaks, role_of.get(column.name), key_of, shown)
        result.choices.append(choice)
    _one_input_each(result, role_of)
    if result.author is not None and result.author not in {c.column for c in result.of("feature")}:
        result.author = None


def _counted_ahead(result: Draft, columns: Sequence[str], target: pl.Series) -> list[Leak]:
    """Columns that count what their user, item or key did on the last days; without a time there are none."""
    if result.unit == "random":
        return []
    roles_of = (result.role("user"), result.role("item"))
    keys = [*filter(None, roles_of), *(lookup.left_key for lookup in result.sources.lookups)]
    keys = [name for name in dict.fromkeys(keys) if name in result.columns]
    numbers = [name for name in columns if result.columns[name].values.kind in ("int", "float")]
    numbers = [name for name in numbers if name not in keys]
    rows = pl.DataFrame({name: result.columns[name].values.column for name in [*keys, *numbers]})
    found = counted_ahead(rows, numbers, keys, target, result.moments)
    return [Leak(one.column, 0.5, 0.0, ahead=one.words) for one in found]


def _choice(
    result: Draft,
    column: Column,
    after: set[str],
    leaks: dict[str, Leak],
    role: str | None,
    key_of: dict[str, Column],
    shown: Places,
) -> Choice:
    if role is not None:
        return features.identity(column, role)
    if features.is_reserved(column.name):
        return Choice(column.name, "none", "the name is reserved: rename the column to use it")
    if column.name in result.set_aside:
        return Choice(column.name, "after", "only known after the exposure, as was told")
    if column.name in result.keep:
        return features.kept(column)
    columns = list(result.columns.values())
    if column.name in after:
        return features.behaviour(column, columns)
    if column.name in leaks:
        leak = leaks[column.name]
        return Choice(
            column.name, "after", f"{leak.why}; move it to features if it is known before the exposure"
        )
    return features.feature(column, columns, key_of.get(column.name), result.moments, shown)


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


def dataset_name(text: str) -> str:
    """A file's or a user's name as the name of a data set."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-._") or "dataset"
