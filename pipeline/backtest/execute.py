"""Runs a comparison for each period and puts them together."""

from __future__ import annotations

import dataclasses
import datetime
import time
from pathlib import Path

from rich.console import Console

from components import progress
from components.dataset.declaration import Declaration
from components.errors import GateError, InputError
from pipeline.backtest.html import write_page
from pipeline.backtest.periods import Period, days_of, periods
from pipeline.backtest.pool import SharedUsers, pooled, rows_as_users
from pipeline.backtest.request import BacktestRequest
from pipeline.backtest.result import Backtest, EvaluatedPeriod
from pipeline.backtest.table import print_backtest
from pipeline.compare.collect import BOOTSTRAP_SEED, SAMPLES, Evidence
from pipeline.compare.result import Comparison
from pipeline.compare.run import compare
from pipeline.layout import RunLayout
from pipeline.place import Place
from pipeline.report.metrics import write_whole
from pipeline.screen import Steps


def execute(request: BacktestRequest, declaration: Declaration, place: Place) -> Backtest:
    """Compares period by period, the latest first, then writes `backtest.json` and `backtest.html`.

    Args:
      request: what the user asked for.
      declaration: validated, with the command line's settings.
      place: where; its console shows progress, then the result.
    """
    data, layout, console = place.data, place.layout, place.console
    begun = time.monotonic()
    with Steps(console) as steps, progress.listening(steps):
        days = days_of(declaration, str(data))
    chosen = periods(declaration, days, request.periods)
    results: list[tuple[Comparison, Evidence]] = []
    for number, period in enumerate(chosen, 1):
        console.rule(f"period {number} of {len(chosen)}: evaluated on {period.first} to {period.last}")
        results.append(_compared(request, period, number, data, layout, console))
    comparisons = [comparison for comparison, _ in results]
    evidences = [evidence for _, evidence in results]
    names = [evidence.users for evidence in evidences]
    if declaration.user is None:
        names = rows_as_users(names)
    users = SharedUsers(names, SAMPLES, BOOTSTRAP_SEED)
    latest = comparisons[0]
    backtest = Backtest(
        dataset=latest.dataset,
        description=latest.description,
        licence=latest.licence,
        label=latest.label,
        domain=latest.domain,
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        command=request.compare.command,
        directory=latest.directory,
        versions=latest.versions,
        seeds=latest.seeds,
        trials=latest.trials,
        bootstrap_samples=SAMPLES,
        min_rows=latest.min_rows,
        users=users.count,
        periods=[
            _evaluated(period, comparison, layout)
            for period, comparison in zip(chosen, comparisons, strict=True)
        ],
        reference=latest.reference,
        models=pooled(comparisons, evidences, users),
        wall_seconds=round(time.monotonic() - begun, 1),
    )
    write_whole(layout.backtest, backtest.model_dump_json(indent=1))
    write_page(backtest, layout.backtest_page)
    console.rule("all periods")
    print_backtest(backtest, console)
    console.print(f"result: {layout.backtest}\nreport: {layout.backtest_page}", highlight=False, markup=False)
    return backtest


def _compared(
    request: BacktestRequest, period: Period, number: int, data: Path, layout: RunLayout, console: Console
) -> tuple[Comparison, Evidence]:
    """The comparison of one period; what goes wrong in it says in which."""
    one = dataclasses.replace(
        request.compare,
        data=data,
        root=layout.periods / period.folder,
        overrides=(*request.compare.overrides, period.override),
        latency=False,
    )
    try:
        return compare(one, console)
    except (InputError, GateError) as error:
        remedy = (
            f"\nThe periods before are done: --periods {number - 1} leaves this one out."
            if number > 1
            else ""
        )
        raise type(error)(f"the period {period.first} to {period.last}: {error}{remedy}") from error


def _evaluated(period: Period, comparison: Comparison, layout: RunLayout) -> EvaluatedPeriod:
    return EvaluatedPeriod(
        first=period.first,
        last=period.last,
        before=period.before.isoformat(),
        comparison=str((layout.periods / period.folder).relative_to(layout.root)),
        rows=comparison.rows,
        users=comparison.users,
        domains=sum(domain.counts for domain in comparison.domains.values()),
        best_possible_average_auc=comparison.best_possible_average_auc,
    )
