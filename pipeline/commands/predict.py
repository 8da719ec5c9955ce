"""`dfei predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from components.errors import InputError
from pipeline.commands.shared import Quiet, ending, leave


def predict(
    source: Annotated[
        Path | None, typer.Argument(help="CSV, JSON or Parquet file; - for standard input.")
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="A server: http://HOST:PORT for REST, grpc://HOST:PORT for gRPC.")
    ] = None,
    model_dir: Annotated[
        Path | None, typer.Option("--model-dir", help="Or a pushed model: ROOT/serving/dfei.")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="The model's name on the server.")] = None,
    signature: Annotated[str, typer.Option(help="The signature to ask.")] = "serving_default",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; default: standard output.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Rows of a request.")] = 512,
    quiet: Quiet = False,
) -> None:
    """Ask a served or a pushed model about every row of a file.

    The file has raw columns, as in the logs: a column that is missing is a missing value. The rows come back in
    their order with `click_probability` added.

    Examples:

        dfei predict rows.csv --model-dir out/simulated/serving/dfei -o scored.csv

        dfei predict rows.parquet --url http://localhost:8501 --model dfei
    """
    with ending():
        if (url is None) == (model_dir is None):
            raise InputError("name one of --url (a server) and --model-dir (a pushed model)")
        from pipeline.predict import PredictionProgress, predict_rows

        console = Console(stderr=True, quiet=quiet)
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        with Progress(
            *columns, console=console, transient=True, disable=quiet or not console.is_terminal
        ) as bars:
            task = bars.add_task("predicting", total=None)

            def show(step: PredictionProgress) -> None:
                total = None if step.share is None else 1.0
                bars.update(task, description=f"{step.rows:,} rows", completed=step.share or 0.0, total=total)

            done = predict_rows(
                None if source is None or str(source) == "-" else source,
                url=url,
                model_dir=model_dir,
                model=model,
                signature=signature,
                output=output,
                batch_size=batch_size,
                progress=show,
            )
        if done.missing:
            console.print(
                f"columns that no row had, taken as missing: {', '.join(done.missing)}", highlight=False
            )
    leave(0)
