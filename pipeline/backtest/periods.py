"""Which days of a log a backtest is evaluated on."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from datetime import datetime, timedelta

from components.dataset.declaration import DAY_MS, Declaration
from components.dataset.impressions import read_piece
from components.dataset.joins import LookupTable, read_lookup
from components.dataset.read_plan import cut, plan_reading
from components.errors import InputError
from components.example_gen import checks
from components.example_gen.scan import SHOWN_REJECTS, PieceScan
from components.progress import Progress, report


@dataclasses.dataclass(frozen=True)
class Period:
    """The days that judge, and where the log ends for a training that is evaluated on them.

    Attributes:
      first, last: the first and the last of `split.eval_days` days, ISO; where days are not of 24 hours the moments
        at which they begin and end.
      before: the moment after the last, wall-clock: `split.before`.
    """

    first: str
    last: str
    before: datetime

    @property
    def folder(self) -> str:
        """A name for the period's files."""
        return self.last.replace(":", "-").replace(" ", "T")

    @property
    def override(self) -> str:
        """The setting that ends the log after the period."""
        return f"split.before={self.before.isoformat()}"


def days_of(declaration: Declaration, data: str) -> dict[int, int]:
    """Rows by day (`split.day_hours` long, from 1970-01-01) of the rows that a run would use. Reports its progress.

    Args:
      declaration: the data set.
      data: the folder with its files.

    Raises:
      InputError: the files, their columns or their rows are not usable.
    """
    plan = plan_reading(declaration, data)
    tables: tuple[LookupTable, ...] = ()
    if plan.domain_is_joined:
        tables = tuple(read_lookup(lookup, declaration) for lookup in plan.lookups)
    pieces = cut(plan)
    documents = []
    rows = 0
    for piece in pieces:
        scan = PieceScan()
        for block in read_piece(plan, piece, tables):
            scan.add(block, plan, tables)
            rows += len(block.text)
            report(Progress("reading which days there are", rows))
        documents.append(scan.document())
    whole = checks.merge(plan, pieces, documents, SHOWN_REJECTS)
    for problem in checks.problems(plan, whole):
        raise InputError(problem)
    return whole.days


def periods(declaration: Declaration, days: Iterable[int], count: int) -> list[Period]:
    """The last `count` stretches of `split.eval_days` days with rows, without overlap, the latest first.

    Each has at least the days to train and to validate on before it.

    Args:
      declaration: whose split says how many days judge.
      days: those that have rows.
      count: of the periods, at least 1.

    Raises:
      InputError: the log has too few days.
    """
    split = declaration.split
    found = sorted(days)
    least = split.validation_days + 1
    if len(found) < count * split.eval_days + least:
        possible = max(0, (len(found) - least) // split.eval_days)
        fewer = f"give --periods {possible}" if possible else "give more days"
        raise InputError(
            f"--periods {count}: the log has rows of {len(found)} {split.day_word}, but {count} periods of "
            f"split.eval_days = {split.eval_days} with split.validation_days = {split.validation_days} and one or more "
            f"to train on before them need {count * split.eval_days + least}: {fewer}, or lower these settings"
        )
    chosen = []
    for number in range(count):
        end = len(found) - number * split.eval_days
        first, last = found[end - split.eval_days], found[end - 1]
        before = datetime(1970, 1, 1) + timedelta(milliseconds=(last + 1) * split.day_ms)
        if split.before is not None:
            before = min(before, split.before)
        shown = before.isoformat(" ", "minutes") if split.day_ms != DAY_MS else checks.day_name(last)
        chosen.append(Period(checks.day_name(first, split.day_ms), shown, before))
    return chosen
