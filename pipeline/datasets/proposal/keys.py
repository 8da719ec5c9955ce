"""Whose past behaviour is worth averaging: keys of the moving averages, chosen from the log itself.

Every candidate is judged by what its click rate as of the day before says about the day's labels, beyond the keys that
are chosen already: forward selection in a logistic regression, by the score test. What a feature of few values says by
itself counts as known from the start, for the model has it as an input. Only days of training are looked at.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from models.click_rate import logit

Floats = npt.NDArray[np.float64]
DAY, LABEL = "(day)", "(label)"
FEWEST_RARER = 200
"""Rows of the rarer class below which nothing is told apart, and the usual keys are proposed."""
MOST_KEYS = 10
# What a key must gain: a chance of one in some ten thousands for each candidate, and a share of the log loss.
_LEAST_Z, _LEAST_GAIN = 4.0, 0.0005
# What is known before an impression does not say so much: it was written after the click.
_TOO_GOOD = 0.5
_FEW_VALUES = 50
_MOST_ROWS, _SCORED_ROWS = 1_000_000, 100_000
_CROSSED = 8
_PRIOR_RARER = 2.0
_PENALTY = 1e-3


@dataclass(frozen=True)
class Candidate:
    """A key.

    Attributes:
      columns: whose combination it is.
      names: the same as declared, with role names.
    """

    columns: tuple[str, ...]
    names: tuple[str, ...]


@dataclass(frozen=True)
class ChosenKey:
    """A key and why it was chosen."""

    names: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class Chosen:
    """The keys that pay, the one that says most first, and what is doubted, in words."""

    keys: list[ChosenKey]
    doubts: list[str]


class KeyRows:
    """Gathers what the choice needs from the blocks of a log: days, labels, columns; of a long log some users alone.

    Args:
      columns: of the candidates.
      user: whose rows are kept together; None to keep every so manieth row.
    """

    def __init__(self, columns: Sequence[str], user: str | None) -> None:
        self._columns = list(dict.fromkeys(columns))
        self._user = user
        self._blocks: list[pl.DataFrame] = []
        self._rows = 0
        self._every = 1

    def add(self, rows: pl.DataFrame, day: pl.Series, label: pl.Series) -> None:
        """A block's rows, with their day and label."""
        kept = rows.select(c for c in self._columns if c in rows.columns).with_columns(
            day.cast(pl.Int64).alias(DAY), label.cast(pl.Int8).alias(LABEL)
        )
        kept = self._thinned(kept)
        self._blocks.append(kept)
        self._rows += len(kept)
        while self._rows > _MOST_ROWS:
            self._every *= 2
            self._blocks = [self._thinned(pl.concat(self._blocks))]
            self._rows = len(self._blocks[0])

    def _thinned(self, rows: pl.DataFrame) -> pl.DataFrame:
        if self._every == 1:
            return rows
        if self._user is not None and self._user in rows.columns:
            return rows.filter(pl.col(self._user).hash(seed=1) % self._every == 0)
        return rows.gather_every(2)

    def before(self, day: int) -> pl.DataFrame:
        """The rows gathered of earlier days."""
        rows = (
            pl.concat(self._blocks) if self._blocks else pl.DataFrame(schema={DAY: pl.Int64, LABEL: pl.Int8})
        )
        return rows.filter(pl.col(DAY) < day)


def choose(
    rows: pl.DataFrame, roles: Mapping[str, str | None], attributes: Sequence[str], entities: Sequence[str]
) -> Chosen | None:
    """The keys that pay. One that says more than can be known before an impression is doubted, and is none.

    Args:
      rows: of the training days, with `DAY` and `LABEL`.
      roles: domain, user, item -> column.
      attributes: further features of a vocabulary.
      entities: of these, those that name something, whatever their number of values (the item's maker, lists).

    Returns:
      None where the log has too few clicks, or days, to tell.
    """
    positives = int(rows[LABEL].sum()) if len(rows) else 0
    if min(positives, len(rows) - positives) < FEWEST_RARER or rows[DAY].n_unique() < 2:
        return None
    judge = _Judge(rows)
    few = [name for name in attributes if 2 <= judge.values(name) <= _FEW_VALUES and name not in entities]
    domain = roles["domain"]
    known = [judge.as_of((name,)) for name in (domain, *few) if name is not None]
    selection = _Selection(judge, known)
    named = {column: role for role, column in roles.items() if column is not None}
    singles = [roles.get("user"), roles.get("item"), *entities]
    singles += [name for name in attributes if judge.values(name) > _FEW_VALUES]
    whole = [name for name in dict.fromkeys(singles) if name is not None and name in rows.columns]
    crossed = _strongest(judge, few)
    candidates = [_candidate((name,), named) for name in whole]
    candidates += [_candidate(pair, named) for pair in _pairs(judge, whole, crossed, roles)]
    chosen: list[ChosenKey] = []
    doubts: list[str] = []
    pool = {candidate.columns: candidate for candidate in candidates}
    while pool and len(chosen) < MOST_KEYS:
        found = selection.best(list(pool.values()))
        if found is None:
            break
        candidate, share, z = found
        del pool[candidate.columns]
        if share > _TOO_GOOD:
            doubts.append(_doubt(candidate, share))
            # What it is made of beside the roles is left out of all keys.
            suspects = set(candidate.columns) - set(named) or set(candidate.columns)
            pool = {columns: other for columns, other in pool.items() if not suspects & set(columns)}
            continue
        selection.take(candidate)
        why = f"takes {share:.2%} off the log loss of the next day's labels (z = {z:.1f})"
        chosen.append(ChosenKey(candidate.names, why))
        if len(candidate.columns) == 2 and domain is not None and domain not in candidate.columns:
            triple = _candidate((*candidate.columns, domain), named)
            pool.setdefault(triple.columns, triple)
    return Chosen(chosen, doubts)


def _doubt(candidate: Candidate, share: float) -> str:
    names = ", ".join(candidate.names)
    return (
        f"{names}: what is known of it from earlier days would take {share:.0%} off the log loss of the next day's "
        "labels, more than what is known before an impression can: is it only written once the user has reacted? It is "
        "no key; with --set-aside COLUMN it is no feature either"
    )


def _candidate(columns: Sequence[str], named: Mapping[str, str]) -> Candidate:
    return Candidate(tuple(columns), tuple(named.get(column, column) for column in columns))


def _pairs(
    judge: _Judge, whole: Sequence[str], few: Sequence[str], roles: Mapping[str, str | None]
) -> Iterator[tuple[str, str]]:
    """Crosses with the domain, and of who looks with what an item has."""
    domain, user, item = roles["domain"], roles.get("user"), roles.get("item")
    if domain is not None:
        yield from ((name, domain) for name in (*whole, *few))
    of_item = [name for name in (*few, *whole) if item is not None and judge.belongs(name, item)]
    watching = [name for name in (*few, *whole) if name not in of_item and name != item]
    if user is not None:
        # An item may have one user alone.
        yield from ((user, name) for name in of_item if name not in (item, user))
        watching = [name for name in watching if name != user]
    for first, second in itertools.product(watching, of_item):
        if second != item and judge.values(first) <= _FEW_VALUES:
            yield first, second
    if not of_item:
        yield from itertools.combinations(few, 2)


def _strongest(judge: _Judge, names: Sequence[str]) -> list[str]:
    """Of many features of few values those whose own rates differ most: crosses of all would be too many."""
    if len(names) <= _CROSSED:
        return list(names)
    spread = {name: float(judge.as_of((name,)).std()) for name in names}
    return sorted(names, key=lambda name: -spread[name])[:_CROSSED]


class _Judge:
    """As-of averages of keys, for evenly spread rows after the first day."""

    def __init__(self, rows: pl.DataFrame) -> None:
        self.rows = rows.with_row_index("(row)")
        days = rows[DAY].to_numpy()
        later = np.flatnonzero(days > days.min())
        step = max(1, len(later) // _SCORED_ROWS)
        self.scored = later[::step]
        self.label = rows[LABEL].to_numpy()[self.scored].astype(np.float64)
        totals = rows.group_by(DAY).agg(clicks=pl.col(LABEL).sum(), shown=pl.len()).sort(DAY)
        before = totals.with_columns(pl.col("clicks", "shown").cum_sum() - pl.col("clicks", "shown"))
        rate = dict(zip(totals[DAY], (before["clicks"] + 0.5) / (before["shown"] + 1.0), strict=True))
        self.overall = np.array([rate[day] for day in days[self.scored]])
        self._values: dict[str, int] = {}

    def values(self, column: str) -> int:
        """Distinct values; 0 for a column that is not there."""
        if column not in self._values:
            found = self.rows[column] if column in self.rows.columns else pl.Series([], dtype=pl.Null)
            flat = found.explode() if isinstance(found.dtype, pl.List) else found
            self._values[column] = flat.drop_nulls().n_unique()
        return self._values[column]

    def belongs(self, column: str, owner: str) -> bool:
        """Whether a column is the same in nearly all rows of an owner, and not in nearly all rows of the log."""
        if owner not in self.rows.columns or column == owner or isinstance(self.rows[column].dtype, pl.List):
            return column != owner and owner in self.rows.columns
        several = self.rows.group_by(owner).agg(values=pl.col(column).n_unique(), shown=pl.len())
        several = several.filter(pl.col("shown") > 1)
        return bool(len(several)) and int((several["values"] == 1).sum()) > 0.98 * len(several)

    def as_of(self, columns: Sequence[str]) -> Floats:
        """Log-odds of the key's click rate over that of all, both of earlier days; 0 for a key without a past."""
        frame = self.rows.select("(row)", DAY, LABEL, *columns)
        for name in columns:
            if isinstance(frame[name].dtype, pl.List):
                frame = frame.explode(name)
        frame = frame.drop_nulls(list(columns))
        keys = [*columns, DAY]
        sums = frame.group_by(keys).agg(clicks=pl.col(LABEL).cast(pl.Int64).sum(), shown=pl.len()).sort(DAY)
        sums = sums.with_columns(
            (pl.col(name).cum_sum().over(list(columns)) - pl.col(name)).alias(name)
            for name in ("clicks", "shown")
        )
        wanted = pl.DataFrame({"(row)": self.scored}).with_columns(pl.col("(row)").cast(pl.UInt32))
        found = wanted.join(frame, on="(row)", how="left").join(sums, on=keys, how="left")
        # A list's values count alike, as in the moving averages.
        found = found.group_by("(row)", maintain_order=True).agg(
            pl.col("clicks", "shown").fill_null(0).mean()
        )
        clicks, shown = found["clicks"].to_numpy(), found["shown"].to_numpy()
        strength = _PRIOR_RARER / np.minimum(self.overall, 1 - self.overall)
        rate = (clicks + strength * self.overall) / (shown + strength)
        return logit(rate) - logit(self.overall)


class _Selection:
    """Forward selection: features that are in, the regression on them, and the score test of one more."""

    def __init__(self, judge: _Judge, known: Sequence[Floats]) -> None:
        self._judge = judge
        self._cache: dict[tuple[str, ...], npt.NDArray[np.float32]] = {}
        self._inside = np.stack([np.ones(len(judge.label)), logit(judge.overall), *known], axis=1)
        self._fit()
        rate = judge.label.mean()
        self._entropy = -(rate * np.log(rate) + (1 - rate) * np.log(1 - rate))

    def best(self, candidates: Sequence[Candidate]) -> tuple[Candidate, float, float] | None:
        """The candidate that gains most, the share of the log loss that it takes and its z; None: none gains enough."""
        gains = []
        for candidate in candidates:
            if candidate.columns not in self._cache:
                self._cache[candidate.columns] = self._judge.as_of(candidate.columns).astype(np.float32)
            gains.append(self._score(self._cache[candidate.columns].astype(np.float64)))
        z, place = max((z, place) for place, z in enumerate(gains))
        share = z**2 / 2 / len(self._judge.label) / self._entropy
        if z < _LEAST_Z or share < _LEAST_GAIN:
            return None
        return candidates[place], share, z

    def take(self, candidate: Candidate) -> None:
        """Puts a candidate that `best` found inside."""
        feature = self._cache[candidate.columns].astype(np.float64)
        self._inside = np.concatenate([self._inside, feature[:, None]], axis=1)
        self._fit()

    def _score(self, feature: Floats) -> float:
        """z of a feature's coefficient, beyond those inside; 0 where it falls, for rates are to repeat themselves."""
        weighted = self._inside * self._weight[:, None]
        solved = np.linalg.lstsq(weighted.T @ self._inside, weighted.T @ feature, rcond=None)[0]
        rest = feature - self._inside @ solved
        variance = float((self._weight * rest**2).sum())
        if variance <= 1e-9:
            return 0.0
        return max(0.0, float((self._residual * rest).sum()) / variance**0.5)

    def _fit(self) -> None:
        """Newton's steps of the logistic regression, held by a slight penalty.

        A step that overshoots, as where a value has clicks alone, is halved until the loss falls.
        """
        beta = np.zeros(self._inside.shape[1])
        beta[1] = 1.0
        loss = self._loss(beta)
        for _ in range(25):
            probability = 1 / (1 + np.exp(-np.clip(self._inside @ beta, -30, 30)))
            self._weight = np.maximum(probability * (1 - probability), 1e-9)
            self._residual = self._judge.label - probability
            hessian = (self._inside * self._weight[:, None]).T @ self._inside + _PENALTY * np.eye(len(beta))
            step = np.linalg.solve(hessian, self._inside.T @ self._residual - _PENALTY * beta)
            while (tried := self._loss(beta + step)) > loss and np.abs(step).max() >= 1e-6:
                step = step / 2
            if np.abs(step).max() < 1e-6:
                break
            beta, loss = beta + step, tried

    def _loss(self, beta: Floats) -> float:
        score = self._inside @ beta
        return float((np.logaddexp(0, score) - self._judge.label * score).sum() + _PENALTY / 2 * beta @ beta)
