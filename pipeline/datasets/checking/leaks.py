"""Features that know the label too well: what is only written once the user has reacted."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import polars as pl

from components.dataset.declaration import Declaration
from components.dataset.label import label_of
from components.dataset.names import LOCAL_TIME
from pipeline.datasets.checking.findings import Finding
from pipeline.datasets.proposal.ahead import counted_ahead
from pipeline.datasets.proposal.leaks import Alone, only_with_label, single_column
from pipeline.datasets.survey import present

_MOST_ROWS = 50_000
# Rows times features, so that a wide log costs no more than a narrow one.
_MOST_VALUES = 5_000_000
_MOST_DOMAINS = 20
# A feature that ranks so well alone, and twice as far beyond chance as any other, is suspected too.
_OUTSTANDING_AUC = 0.8
_FOLDS = 5
_REMEDY = (
    "is it known before the impression? If not, remove it from `features`, or make the declaration anew with `dfei "
    "dataset new --set-aside COLUMN`, which chooses the averages without it; what users do is a behaviour"
)
# Of the rarer class, for a domain to be looked at.
_FEWEST = 50


class LeakSample:
    """A part of the accepted rows, on which each feature ranks the label alone.

    Args:
      declaration: the data set.
      rows: of the log; 50,000 at most are looked at, spread evenly, and fewer of a wide log.
    """

    def __init__(self, declaration: Declaration, rows: int) -> None:
        self._declaration = declaration
        most = min(_MOST_ROWS, _MOST_VALUES // max(1, len(declaration.features)))
        self._every = max(1, round(rows / max(1, most)))
        entities = [name for name in (declaration.user, declaration.item) if name]
        self._keys = list(dict.fromkeys([*entities, *(one.left_key for one in declaration.lookups)]))
        self._kept: list[pl.DataFrame] = []

    def add(self, rows: pl.DataFrame) -> None:
        """Adds accepted, joined rows."""
        declaration = self._declaration
        label = label_of(rows, declaration).cast(pl.Int8).alias("\0label")
        columns = [name for name in declaration.features if name != declaration.domain]
        domain = rows[declaration.domain].cast(pl.String).alias("\0domain")
        keys = [rows[name].alias(f"\0key {name}") for name in self._keys if name in rows.columns]
        moment = rows[LOCAL_TIME].alias("\0moment")
        self._kept.append(
            rows.select(columns).with_columns(label, domain, moment, *keys).gather_every(self._every)
        )

    def findings(self) -> Iterator[Finding]:
        """Each suspected feature, the worst first."""
        if not self._kept:
            return
        rows = pl.concat(self._kept)
        label, domain = rows["\0label"].to_numpy(), rows["\0domain"]
        written_with = {
            name: only
            for name in rows.columns
            if not name.startswith("\0") and (only := only_with_label(present(rows[name]), label))
        }
        for name, only in written_with.items():
            yield Finding("warn", "leak?", f"{name} is {only} only in rows whose label is 1", _REMEDY)
        yield from self._ahead(rows)
        fold = np.random.default_rng(0).integers(0, _FOLDS, len(rows))
        of_domain = [(domain == value).to_numpy() for value in domain.unique().sort()]
        strata = [mine for mine in of_domain if min(label[mine].sum(), (1 - label[mine]).sum()) >= _FEWEST]
        strata = sorted(strata, key=lambda mine: -int(mine.sum()))[:_MOST_DOMAINS]
        if not strata:
            return
        alone = {
            name: _within(rows[name], label, fold, strata)
            for name in rows.columns
            if not name.startswith("\0")
        }
        names = sorted(alone, key=lambda name: (not alone[name].too_good, -alone[name].auc))
        for name, following in zip(names, [*names[1:], None], strict=True):
            own, rest = alone[name].auc, alone[following].auc if following is not None else 0.5
            outstanding = own >= _OUTSTANDING_AUC and own - 0.5 >= 2 * (rest - 0.5)
            if not alone[name].too_good and not outstanding:
                return
            if name in written_with:
                continue
            yield Finding(
                "warn",
                "leak?",
                f"{name} alone ranks the clicks within a domain with an AUC of {own:.2f}"
                + (f" and takes {alone[name].share:.0%} off the log loss" if alone[name].share > 0.01 else "")
                + (f", the next feature, {following}, with {rest:.2f}" if following is not None else ""),
                _REMEDY,
            )

    def _ahead(self, rows: pl.DataFrame) -> Iterator[Finding]:
        """Of a log of more rows than are looked at, a count shows less: `new`, and this, may miss it."""
        if self._declaration.timestamp.unit == "random":
            return
        numbers = [
            name for name in rows.columns if not name.startswith("\0") and rows[name].dtype.is_numeric()
        ]
        keys = [name for name in self._keys if f"\0key {name}" in rows.columns]
        numbers = [name for name in numbers if name not in keys]
        named = rows.select(numbers).with_columns(rows[f"\0key {name}"].alias(name) for name in keys)
        for one in counted_ahead(named, numbers, keys, rows["\0label"], rows["\0moment"]):
            yield Finding("warn", "leak?", f"{one.column}: {one.words}", _REMEDY)


def _within(
    column: pl.Series,
    label: npt.NDArray[np.int8],
    fold: npt.NDArray[np.int64],
    strata: list[npt.NDArray[np.bool_]],
) -> Alone:
    """The mean within domains, weighted by rows."""
    weights = [int(mine.sum()) for mine in strata]
    found = [single_column(column.filter(pl.Series(mine)), label[mine], fold[mine]) for mine in strata]
    return Alone(
        float(np.average([one.auc for one in found], weights=weights)),
        float(np.average([one.share for one in found], weights=weights)),
    )
