"""`dfei predict`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from components.errors import InputError
from components.progress import Progress
from pipeline.commands.shared import AsJson, Quiet, ending, leave, warn


def predict(
    source: Annotated[
        Path | None,
        typer.Argument(
            help="CSV (also .tsv, .txt, .gz, RecBole's .inter), JSON or Parquet file; - for standard input."
        ),
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="A server: http(s)://HOST:PORT for REST, grpc(s)://HOST:PORT for gRPC.")
    ] = None,
    model_dir: Annotated[
        Path | None, typer.Option("--model-dir", help="Or a pushed model: ROOT/serving/dfei.")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="The model's name on the server.")] = None,
    signature: Annotated[str, typer.Option(help="The signature to ask.")] = "serving_default",
    lookup: Annotated[
        list[str] | None,
        typer.Option(
            "--lookup",
            metavar="FILE=KEY",
            help="A table to join by a column that both have; FILE=OURS:THEIRS where the names differ, "
            "FILE=OURS:THEIRS:PREFIX where the declaration has a prefix. Repeat for more: a later one may be joined by "
            "a column of an earlier one.",
        ),
    ] = None,
    separator: Annotated[
        str | None,
        typer.Option(
            "--separator",
            help="Between the values of CSV, tables included; default: a tab in .tsv, else a comma, or what the header "
            "shows.",
        ),
    ] = None,
    written: Annotated[
        list[str] | None,
        typer.Option(
            "--written",
            metavar="[COLUMN=]WAY",
            help="How the texts of floats are written: plain, point ($1,234.50 and 12.5%), comma (1.234,50 €), or as "
            "dates: iso, dmy or mdy; with COLUMN= of that column alone. Repeat for more. Default: as the declaration "
            "said that a pushed model was trained with; of a server's, plain.",
        ),
    ] = None,
    encoding: Annotated[
        str,
        typer.Option(
            "--encoding",
            help="Of CSV that is not UTF-8, tables included, such as cp1252 or gb18030.",
        ),
    ] = "utf-8",
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "--columns",
            metavar="A,B,C",
            help="Names of the columns of CSV without a header, or a file with them; FILE=A,B,C for a lookup.",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; default: standard output.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, max=1 << 16, help="Rows of a request.")] = 512,
    ca_file: Annotated[
        Path | None,
        typer.Option(
            "--ca-file",
            help="Certificates (PEM) of who signed the server's; default: the system's. For https, grpcs.",
        ),
    ] = None,
    exact_text: Annotated[
        bool,
        typer.Option(
            "--exact-text",
            help="Write text to CSV as it is, also where a spreadsheet would compute it (=1+1); without, it gets a ' "
            "in front. Numbers and ids are always written as they are.",
        ),
    ] = False,
    skip_bad_rows: Annotated[
        bool,
        typer.Option(
            "--skip-bad-rows",
            help="Pass over rows that cannot be read, or have a value that is none of its column's type, and say how "
            "many; without, the first one is an error.",
        ),
    ] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Ask a served or a pushed model about every row of a file.

    The file has raw columns, as in the logs. What the model was trained with from lookup tables it needs here too:
    join each with `--lookup`, one line for each key, held in memory. A column that the file has itself wins; one that
    is nowhere is a missing value, and a warning says so where that is more than half of the model's inputs. The rows
    come back in their order with `click_probability` added, without the columns of the tables; CSV is separated as the
    file is (`.tsv`: by tabs).

    Examples:

        dfei predict rows.csv --lookup users.csv=user_id --lookup items.csv=item_id --model-dir serving/dfei -o out.csv

        dfei predict rows.parquet --url http://localhost:8501 --model dfei

        dfei predict joined.csv --model-dir out/simulated/serving/dfei -o scored.csv --json
    """
    left = "nothing of it was written" if output is not None else "what was printed is not all"
    with ending(f"stopped; {left}: the same command starts anew"):
        if (url is None) == (model_dir is None):
            raise InputError("name one of --url (a server) and --model-dir (a pushed model)")
        if as_json and output is None:
            raise InputError(
                "--json keeps standard output for the summary: name a file for the rows with --output"
            )
        from pipeline.predict import PredictionProgress, RowError, predict_rows
        from pipeline.screen import Steps, print_json
        from pipeline.terminal import chatter_hidden

        with chatter_hidden(quiet) as console:
            with Steps(console) as bar:

                def show(step: PredictionProgress) -> None:
                    bar(Progress("predicting", step.rows, step.total, "rows"))

                try:
                    done = predict_rows(
                        None if source is None or str(source) == "-" else source,
                        url=url,
                        model_dir=model_dir,
                        model=model,
                        signature=signature,
                        lookups=lookup or (),
                        separator=separator,
                        written=written or (),
                        encoding=encoding,
                        columns=columns or (),
                        output=output,
                        batch_size=batch_size,
                        ca_file=ca_file,
                        exact_text=exact_text,
                        skip_bad_rows=skip_bad_rows,
                        progress=show,
                    )
                except RowError as error:
                    remedy = "mend the row, or pass over such rows with --skip-bad-rows"
                    raise InputError(f"{error}; {left}: {remedy}") from error
                except BrokenPipeError:
                    if output is not None:
                        raise
                    # Whoever reads has enough, as `| head`; what is buffered goes nowhere.
                    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                    raise typer.Exit(141) from None
            if output is not None:
                console.print(f"{done.rows:,} rows: {output}", highlight=False, markup=False, soft_wrap=True)
            for table, rows in done.unmatched.items():
                if 0 < rows < done.rows:
                    said = f"{table}: no line for the keys of {rows:,} of {done.rows:,} rows"
                    console.print(said, highlight=False, markup=False)
            if done.missing and not done.mostly_missing:
                said = f"columns that no row had, taken as missing: {', '.join(done.missing)}"
                console.print(said, highlight=False, markup=False)
        if done.skipped:
            more = " ..." if done.skipped > len(done.first_skipped) else ""
            were = "1 row" if done.skipped == 1 else f"{done.skipped:,} rows"
            warn(f"passed over, without a line in the result: {were}; {'; '.join(done.first_skipped)}{more}")
        for table, rows in done.unmatched.items():
            if 0 < rows == done.rows:
                warn(f"{table}: no line for the key of any row: is it the right table, and the right key?")
        if done.mostly_missing:
            warn(
                f"{len(done.missing)} of the model's {done.inputs} inputs are in no row, and were taken as missing: "
                f"{', '.join(done.missing)}. Scores are worse for it: join the tables that have them, with --lookup "
                "FILE=KEY"
            )
        if as_json:
            print_json(
                {
                    "rows": done.rows,
                    "model": done.model,
                    "output": str(output),
                    "missing": list(done.missing),
                    "unmatched": done.unmatched,
                    "skipped": done.skipped,
                }
            )
    leave(0)
