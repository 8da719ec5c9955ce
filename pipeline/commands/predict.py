"""`dfei predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from components.errors import InputError
from components.progress import Progress
from pipeline.commands.shared import AsJson, Quiet, ending, leave


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
    as_json: AsJson = False,
) -> None:
    """Ask a served or a pushed model about every row of a file.

    The file has raw columns, as in the logs: a column that is missing is a missing value. The rows come back in
    their order with `click_probability` added.

    Examples:

        dfei predict rows.csv --model-dir out/simulated/serving/dfei -o scored.csv

        dfei predict rows.parquet --url http://localhost:8501 --model dfei

        dfei predict rows.csv --model-dir out/simulated/serving/dfei -o scored.csv --json
    """
    left = "nothing of it was written" if output is not None else "what was printed is not all"
    with ending(f"stopped; {left}: the same command starts anew"):
        if (url is None) == (model_dir is None):
            raise InputError("name one of --url (a server) and --model-dir (a pushed model)")
        if as_json and output is None:
            raise InputError(
                "--json keeps standard output for the summary: name a file for the rows with --output"
            )
        from pipeline.predict import PredictionProgress, predict_rows
        from pipeline.screen import Steps, print_json
        from pipeline.terminal import chatter_hidden

        with chatter_hidden(quiet) as console:
            with Steps(console) as bar:

                def show(step: PredictionProgress) -> None:
                    # The share of the file that is read tells how many rows there will be.
                    total = round(step.rows / step.share) if step.share else None
                    bar(Progress("predicting", step.rows, total, "rows"))

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
        if as_json:
            print_json(
                {"rows": done.rows, "model": done.model, "output": str(output), "missing": list(done.missing)}
            )
    leave(0)
