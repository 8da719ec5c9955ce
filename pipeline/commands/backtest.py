"""`dfei backtest`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from pipeline.commands.shared import (
    AsJson,
    Data,
    Dataset,
    Jobs,
    Models,
    Quiet,
    Root,
    Seeds,
    Settings,
    Trials,
    as_typed,
    run_command,
)
from pipeline.layout import RunLayout


def backtest(
    dataset: Dataset,
    root: Root,
    data: Data = None,
    periods: Annotated[
        int,
        typer.Option(
            "--periods",
            help="How many times split.eval_days days judge, without overlap: the last ones, those before, ...",
        ),
    ] = 3,
    models: Models = None,
    seeds: Seeds = 3,
    trials: Trials = 0,
    jobs: Jobs = None,
    settings: Settings = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Compare models as of several days: does the order of one comparison hold? A table, `backtest.json` and `.html`.

    For each period the log is read as if it had ended with it, and everything is done anew: features, moving averages,
    search, trainings. Each period's own comparison lies in `ROOT/periods`. A backtest that was killed goes on from
    where it was; one more period trains only that.

    Exit codes: 0 done; 1 a gate refused the data; 2 the input is wrong.

    Examples:

        dfei backtest --dataset simulated --root out/backtest --models dfei,mlp,lightgbm

        dfei backtest --dataset kuairand-pure --data KuaiRand-Pure --root out/backtest --periods 4 --seeds 5

        dfei backtest --dataset simulated --root out/decay --models dfei --set moving_average.decay=0.99
    """
    from pipeline.backtest.request import BacktestRequest
    from pipeline.backtest.run import backtest as run_backtest
    from pipeline.compare.request import CompareRequest

    layout = RunLayout(root.resolve())
    request = BacktestRequest(
        CompareRequest(
            dataset=dataset,
            data=data,
            root=root,
            overrides=tuple(settings or ()),
            models=tuple(models or ()),
            seeds=seeds,
            jobs=jobs,
            trials=trials,
            command=as_typed(),
        ),
        periods,
    )

    def work(console: Console) -> str:
        run_backtest(request, console)
        return ""

    run_command(layout.root, "backtest", work, layout.backtest, quiet=quiet, as_json=as_json)
