"""The command line: `dfei ...` and `python -m pipeline ...`."""

from __future__ import annotations

from importlib.metadata import distribution

import typer
from typer import rich_utils

from pipeline.commands.backtest import backtest
from pipeline.commands.compare import compare
from pipeline.commands.daily import daily, expire, history, rollback
from pipeline.commands.dataset import dataset
from pipeline.commands.predict import predict
from pipeline.commands.report import report
from pipeline.commands.run import run
from pipeline.commands.serve import serve
from pipeline.commands.signature import signature
from pipeline.commands.simulate import simulate
from pipeline.commands.study import study
from pipeline.commands.worker import worker
from pipeline.screen import Screen

# Errors of the command line quote what was typed.
rich_utils.Console = Screen  # type: ignore[misc]

app = typer.Typer(
    name="dfei",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Multi-domain click models on TFX: from impression logs to an evaluated, served DFEI model.\n\n"
    "Examples:\n\n"
    "    dfei run --dataset simulated --root out/first\n\n"
    "    dfei run --dataset kuairand-pure --data data/KuaiRand-Pure --root out/kuairand\n\n"
    "    dfei serve out/first/serving/dfei\n\n"
    "Exit codes: 0 done; 1 a gate refused the data or the model; 2 the input is wrong; 4 the engine of the Beam jobs "
    "failed, 130 stopped with Ctrl-C: the same command goes on. `docs/` has a tutorial, the declaration's keys, the "
    "models, and messages explained.",
)
app.command()(run)
app.command()(daily)
app.command()(history)
app.command()(rollback)
app.command()(expire)
app.command()(compare)
app.command()(backtest)
app.command()(simulate)
app.command()(report)
app.command()(serve)
app.command()(predict)
app.command()(signature)
app.command()(worker)
app.add_typer(dataset, name="dataset")
app.add_typer(study, name="study")
# What stands above the pipeline brings its own commands: `dfei compile` of kubeflow/.
for _command in distribution("dfei").entry_points.select(group="dfei.commands"):
    app.command(_command.name)(_command.load())


def main() -> None:
    """Runs the command line."""
    app()
